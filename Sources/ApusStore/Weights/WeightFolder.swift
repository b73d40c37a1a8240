public import ApusCore
internal import ApusCrypto
internal import ApusManifest
internal import Glibc

/// `weights/` of the data directory: `<hash>/data` is a file that was read whole and has that hash; `.partial-<hash>/data` is what was
/// fetched of one; `sets/<key>/<name>` are links to files, as workers see them. Calls block on the disk.
public struct WeightFolder: Sendable {
    public let folder: String
    private static let chunk = 1 << 20

    public init(dataDirectory: String) { self.folder = "\(dataDirectory)/weights" }

    /// As retention sees it.
    public var kept: KeptFolders { KeptFolders(folder: self.folder) }

    private func path(_ hash: String) -> String { "\(self.folder)/\(hash)/data" }
    private func partial(_ hash: String) -> String { "\(self.folder)/\(BundleStore.partialPrefix)\(hash)" }
    private func set(_ key: String) -> String { "\(self.folder)/sets/\(key)" }

    // MARK: questions

    public func isThere(_ hash: String) -> Bool { access(self.path(hash), F_OK) == 0 }
    public func isThere(set key: String) -> Bool { access(self.set(key), F_OK) == 0 }

    /// Bytes of a file that were fetched, whether all of them or not.
    public func fetched(_ hash: String) -> Int64 {
        Self.size(self.path(hash)) ?? Self.size("\(self.partial(hash))/data") ?? 0
    }

    private static func size(_ path: String) -> Int64? {
        var status = stat()
        return lstat(path, &status) == 0 ? Int64(status.st_size) : nil
    }

    /// All that lies here, what is not whole too.
    public func bytes() throws(ApusError) -> Int64 {
        guard FileTree.isDirectory(self.folder) else { return 0 }
        var bytes: Int64 = 0
        for name in try FileTree.names(in: self.folder) where name != "sets" {
            bytes += Self.size("\(self.folder)/\(name)/data") ?? 0
        }
        return bytes
    }

    // MARK: bringing one

    /// Opens what there is of a file, to go on writing at its end.
    /// - Returns: the descriptor, which the caller closes, and how much is there.
    public func openPartial(_ hash: String) throws(ApusError) -> (descriptor: CInt, bytes: Int64) {
        try FileTree.makeDirectory(self.folder, mode: 0o755)
        try FileTree.makeDirectory(self.partial(hash), mode: 0o755)
        let path = "\(self.partial(hash))/data"
        let descriptor = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw FileTree.failure("open", path) }
        return (descriptor, Self.size(path) ?? 0)
    }

    /// Adds bytes at the end.
    public func append(_ bytes: [UInt8], to descriptor: CInt, of hash: String) throws(ApusError) {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress?.advanced(by: done), $0.count - done) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw FileTree.failure("write", self.partial(hash)) }
            done += count
        }
    }

    /// Begins anew.
    public func empty(_ descriptor: CInt, of hash: String) throws(ApusError) {
        guard ftruncate(descriptor, 0) == 0 else { throw FileTree.failure("ftruncate", self.partial(hash)) }
    }

    /// Reads what was fetched from the disk, and gives it its name where that is its hash. Before, nobody can take it for whole:
    /// neither a worker nor a server that starts after this one was killed.
    /// - Returns: the hash that it has; nil where that is its name and it is there now.
    public func adopt(_ hash: String, _ descriptor: CInt) throws(ApusError) -> String? {
        let path = self.partial(hash)
        guard fsync(descriptor) == 0 else { throw FileTree.failure("fsync", path) }
        let found = try Self.hash(descriptor, path)
        guard found == hash else { return found }
        guard fchmod(descriptor, 0o444) == 0 else { throw FileTree.failure("fchmod", path) }
        try FileTree.sync(path)
        guard rename(path, "\(self.folder)/\(hash)") == 0 else { throw FileTree.failure("rename", path) }
        try FileTree.sync(self.folder)
        return nil
    }

    private static func hash(_ descriptor: CInt, _ path: String) throws(ApusError) -> String {
        var hash = SHA256()
        var bytes = [UInt8](repeating: 0, count: Self.chunk)
        var offset: off_t = 0
        while true {
            let count = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, offset) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw FileTree.failure("read", path) }
            if count == 0 { return Hex.encode(hash.finish()) }
            bytes.withUnsafeBytes { hash.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            offset += off_t(count)
        }
    }

    /// Takes a file out of a bundle that is unpacked here, by a copy: what is in a bundle stays as it is.
    /// - Throws: `bundle_invalid` when it is not there or is none.
    public func copy(_ path: String, of bundle: String, to descriptor: CInt, hash: String, room: Int64) throws(ApusError) {
        let source = "\(self.folder)/../bundles/\(bundle)/\(path)"
        let from = open(source, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        var status = stat()
        guard from >= 0, fstat(from, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            if from >= 0 { close(from) }
            throw ApusError(.bundleInvalid, "the bundle has no file '\(path)'")
        }
        defer { close(from) }
        guard Int64(status.st_size) <= room else {
            throw ApusError(.weightsUnavailable, "'\(path)' is \(status.st_size) bytes, and at most \(room) may be")
        }
        var bytes = [UInt8](repeating: 0, count: Self.chunk)
        while true {
            let count = bytes.withUnsafeMutableBytes { read(from, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw FileTree.failure("read", source) }
            if count == 0 { return }
            try self.append(Array(bytes[..<count]), to: descriptor, of: hash)
        }
    }

    public func discard(_ hash: String) throws(ApusError) { try FileTree.remove(self.partial(hash)) }

    // MARK: sets

    /// Makes the folder that workers see, of files that are there.
    public func link(_ set: WeightSet) throws(ApusError) {
        guard !self.isThere(set: set.key) else { return }
        try FileTree.makeDirectory("\(self.folder)/sets", mode: 0o755)
        let partial = self.set("\(BundleStore.partialPrefix)\(set.key)-\(UInt64.random(in: .min ... .max))")
        try FileTree.makeDirectory(partial, mode: 0o755)
        for file in set.files {
            let to = "\(partial)/\(file.name)"
            guard Glibc.link(self.path(file.sha256), to) == 0 else { throw FileTree.failure("link", to) }
        }
        try FileTree.sync(partial)
        if rename(partial, self.set(set.key)) != 0 {
            let error = FileTree.failure("rename", partial)
            try FileTree.remove(partial)
            // Another was as quick: a set is named by its content.
            guard self.isThere(set: set.key) else { throw error }
        }
    }

    /// Removes sets that nobody uses, so that their files take no room once they are removed, and what was left of making some.
    public func removeSets(_ isUsed: (String) -> Bool) throws(ApusError) {
        let sets = "\(self.folder)/sets"
        guard FileTree.isDirectory(sets) else { return }
        for name in try FileTree.names(in: sets) where !isUsed(name) { try FileTree.remove("\(sets)/\(name)") }
    }
}

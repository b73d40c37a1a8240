public import ApusCore
internal import Glibc

/// Makes a bundle of a source folder, on the client's side: the same files always give the same bytes and the same hash.
public struct Bundler: Sendable {
    public struct Bundle: Sendable {
        public var archive: [UInt8]
        public var hash: String
        /// Regular files in it.
        public var files: Int
    }

    public init() {}

    /// Reads `folder`, leaves out what its `.apusignore` names, and packs the rest.
    /// - Parameter program: a path below the folder that is packed whatever the rules say, through links on its way: what a build
    ///   made usually lies where nothing else is wanted.
    /// - Throws: `bundle_invalid` for links, devices and names that cannot travel, `bundle_too_large`, `data_directory_invalid`
    ///   where a file cannot be read.
    public func bundle(_ folder: String, program: String? = nil) throws(ApusError) -> Bundle {
        guard FileTree.isDirectory(folder) else {
            throw ApusError(
                .bundleInvalid,
                "the source '\(folder)' is no folder; check `source` in the manifest, which is relative to it")
        }
        let rules = try Self.rules(of: folder)
        var walk = Walk(folder: folder, rules: rules)
        try walk.visit("")
        if let program { try walk.add(program: program) }
        let archive = try Archive.encode(walk.entries)
        return Bundle(
            archive: archive, hash: BundleHash.of(archive), files: walk.entries.count { $0.kind != .directory })
    }

    /// What a source folder leaves out.
    /// - Throws: `bundle_invalid` when its `.apusignore` cannot be understood.
    public static func rules(of folder: String) throws(ApusError) -> IgnoreRules {
        let path = "\(folder)/.apusignore"
        guard access(path, F_OK) == 0 else { return try IgnoreRules() }
        let bytes = try FileTree.read(path, limit: Limits.Bundle.ignoreFileBytes)
        guard bytes.count <= Limits.Bundle.ignoreFileBytes else {
            throw ApusError(
                .bundleInvalid,
                "'\(path)' has more than \(Limits.Bundle.ignoreFileBytes) bytes; use fewer, wider patterns")
        }
        return try IgnoreRules(String(decoding: bytes, as: UTF8.self), file: path)
    }

    private struct Walk {
        let folder: String
        let rules: IgnoreRules
        var entries: [ArchiveEntry] = []
        var bytes = 0

        mutating func visit(_ directory: String) throws(ApusError) {
            let place = directory.isEmpty ? self.folder : "\(self.folder)/\(directory)"
            for name in try FileTree.names(in: place).sorted() {
                let path = directory.isEmpty ? name : "\(directory)/\(name)"
                let onDisk = "\(self.folder)/\(path)"
                var status = stat()
                guard lstat(onDisk, &status) == 0 else { throw FileTree.failure("stat", onDisk) }
                let type = status.st_mode & S_IFMT
                guard !self.rules.ignores(path, isDirectory: type == S_IFDIR) else { continue }
                try ArchivePaths.check(path)
                guard self.entries.count < Limits.Bundle.entries else {
                    throw ApusError(
                        .bundleTooLarge,
                        "'\(self.folder)' holds more than \(Limits.Bundle.entries) files: list what is not needed in .apusignore"
                    )
                }
                switch type {
                case S_IFDIR:
                    self.entries.append(ArchiveEntry(path: path, kind: .directory))
                    try self.visit(path)
                case S_IFREG: try self.take(path, onDisk, isExecutable: status.st_mode & 0o100 != 0)
                default:
                    throw ApusError(
                        .bundleInvalid,
                        "'\(onDisk)' is neither a file nor a folder (a link, perhaps): replace it by a copy or list it in .apusignore"
                    )
                }
            }
        }

        /// Adds a program that the walk left out, and the folders on its way.
        mutating func add(program: String) throws(ApusError) {
            let path = program.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
            guard !self.entries.contains(where: { $0.path == path }) else { return }
            try ArchivePaths.check(path)
            var parent = ""
            for step in path.split(separator: "/").dropLast() {
                parent += parent.isEmpty ? String(step) : "/\(step)"
                guard !self.entries.contains(where: { $0.path == parent }) else { continue }
                self.entries.append(ArchiveEntry(path: parent, kind: .directory))
            }
            try self.take(path, "\(self.folder)/\(path)", isExecutable: true)
        }

        private mutating func take(_ path: String, _ onDisk: String, isExecutable: Bool) throws(ApusError) {
            let room = Limits.Bundle.archiveBytes - self.bytes
            let contents = try FileTree.read(onDisk, limit: room)
            guard contents.count <= room else {
                throw ApusError(
                    .bundleTooLarge,
                    "'\(self.folder)' holds more than \(Limits.Bundle.archiveBytes) bytes, with '\(path)': list what is not needed in "
                        + ".apusignore"
                )
            }
            self.bytes += contents.count
            self.entries.append(ArchiveEntry(path: path, kind: isExecutable ? .executable : .file, contents: contents))
        }
    }
}

public import ApusCore
internal import Glibc

/// The unpacked bundles of a data directory: `bundles/<content hash>/…`, each whole or absent.
///
/// A bundle is unpacked into a folder of another name, synced, and renamed, so that a crash leaves no half of one under its
/// hash. Files have mode 0644 or 0755 and folders 0755: workers of any uid may read them, nobody but the owner changes them.
/// Calls block on the disk: make them from the store's thread.
public struct BundleStore: Sendable {
    public enum Stored: Sendable, Hashable { case created, existed }

    /// The folder `bundles` of the data directory.
    public let folder: String
    static let partialPrefix = ".partial-"

    /// Makes the folder when it is missing and removes what an interrupted unpacking left.
    /// - Throws: `data_directory_invalid`.
    public init(folder: String) throws(ApusError) {
        self.folder = folder
        try FileTree.makeDirectory(folder, mode: 0o755)
        for name in try FileTree.names(in: folder) where name.hasPrefix(Self.partialPrefix) {
            try FileTree.remove("\(folder)/\(name)")
        }
    }

    public func path(of hash: String) -> String { "\(self.folder)/\(hash)" }

    public func contains(_ hash: String) -> Bool {
        BundleHash.isWellFormed(hash) && FileTree.isDirectory(self.path(of: hash))
    }

    /// The hashes of all bundles, sorted.
    public func list() throws(ApusError) -> [String] {
        try FileTree.names(in: self.folder).filter { BundleHash.isWellFormed($0) }.sorted()
    }

    /// Checks and unpacks an archive.
    /// - Parameter hash: what the sender says the archive's hash is.
    /// - Throws: `bundle_invalid` when hash and archive differ or the archive is malformed, `bundle_too_large`, `disk_full`.
    public func store(_ archive: [UInt8], hash: String) throws(ApusError) -> Stored {
        guard BundleHash.isWellFormed(hash) else {
            throw ApusError(
                .bundleInvalid, "'\(hash.prefix(80))' is no content hash: 64 lower-case hexadecimal digits are expected"
            )
        }
        guard archive.count <= Limits.Bundle.archiveBytes else {
            throw ApusError(
                .bundleTooLarge,
                "the bundle has \(archive.count) bytes; at most \(Limits.Bundle.archiveBytes) are taken")
        }
        let actual = BundleHash.of(archive)
        guard actual == hash else {
            throw ApusError(
                .bundleInvalid,
                "the bundle's hash is \(actual), not \(hash): it was changed or cut on its way; send it again")
        }
        if self.contains(hash) {
            // Sent again, it is about to be used again.
            try FileTree.touch(self.path(of: hash))
            return .existed
        }
        let entries = try Archive.decode(archive)
        let partial = "\(self.folder)/\(Self.partialPrefix)\(hash)-\(getpid())-\(UInt64.random(in: .min ... .max))"
        do {
            try self.unpack(entries, into: partial)
            return try self.publish(partial, as: hash)
        } catch {
            try FileTree.remove(partial)
            throw error
        }
    }

    /// A bundle as an archive again, made of its folder: the same files, though perhaps not the bytes that were sent.
    /// - Throws: `bundle_not_found`, what the disk says.
    public func archive(_ hash: String) throws(ApusError) -> [UInt8] {
        guard self.contains(hash) else {
            throw ApusError(
                .bundleNotFound, "the bundle \(hash) is not on this server any more: deploy its function again")
        }
        return try Bundler().archive(self.path(of: hash))
    }

    /// Takes a bundle out of a backup, whose checksums vouch for it: its hash is that of the bytes that were sent once.
    /// - Throws: `bundle_invalid` when the archive is malformed, `disk_full`.
    public func restore(_ archive: [UInt8], as hash: String) throws(ApusError) {
        guard BundleHash.isWellFormed(hash) else {
            throw ApusError(.bundleInvalid, "'\(hash.prefix(80))' is no content hash")
        }
        let partial = "\(self.folder)/\(Self.partialPrefix)\(hash)"
        try self.unpack(try Archive.decode(archive), into: partial)
        _ = try self.publish(partial, as: hash)
    }

    /// Deletes a bundle. Harmless when it is not there. The caller knows that no revision names it.
    public func remove(_ hash: String) throws(ApusError) {
        if let retired = try self.kept.retire(hash) { try self.kept.remove(retired) }
    }

    /// The same folder, as retention sees it.
    public var kept: KeptFolders { KeptFolders(folder: self.folder) }

    private func unpack(_ entries: [ArchiveEntry], into folder: String) throws(ApusError) {
        var made: Set<String> = []
        try FileTree.makeDirectory(folder, mode: 0o755)
        for entry in entries {
            var missing: [Substring] = entry.kind == .directory ? [entry.path[...]] : []
            var parent = entry.path[...]
            while let slash = parent.lastIndex(of: "/") {
                parent = parent[..<slash]
                missing.append(parent)
            }
            for directory in missing.reversed() where made.insert(String(directory)).inserted {
                try FileTree.makeDirectory("\(folder)/\(directory)", mode: 0o755)
            }
            guard entry.kind != .directory else { continue }
            try FileTree.writeNew(
                "\(folder)/\(entry.path)", entry.contents, mode: entry.kind == .executable ? 0o755 : 0o644)
        }
        for directory in made { try FileTree.sync("\(folder)/\(directory)") }
        try FileTree.sync(folder)
    }

    private func publish(_ partial: String, as hash: String) throws(ApusError) -> Stored {
        guard rename(partial, self.path(of: hash)) == 0 else {
            // Somebody else stored the same bundle meanwhile: the same bytes, by its name.
            if errno == EEXIST || errno == ENOTEMPTY {
                try FileTree.remove(partial)
                return .existed
            }
            throw FileTree.failure("rename", partial)
        }
        try FileTree.sync(self.folder)
        return .created
    }
}

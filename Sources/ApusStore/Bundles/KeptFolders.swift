public import ApusCore
internal import Glibc

/// A folder of folders named by 64 hexadecimal digits (`bundles/`, `layers/`), as retention sees it. The time of each is when it was
/// last known to be used. Calls block on the disk.
public struct KeptFolders: Sendable {
    public let folder: String
    private static let retiredPrefix = BundleStore.partialPrefix + "retired-"

    public init(folder: String) { self.folder = folder }

    /// The names of all, sorted; none when the folder is missing.
    public func names() throws(ApusError) -> [String] {
        guard FileTree.isDirectory(self.folder) else { return [] }
        return try FileTree.names(in: self.folder).filter { BundleHash.isWellFormed($0) }.sorted()
    }

    public func lastUsed(_ name: String) throws(ApusError) -> Timestamp {
        try FileTree.changed("\(self.folder)/\(name)")
    }
    public func markUsed(_ name: String) throws(ApusError) { try FileTree.touch("\(self.folder)/\(name)") }
    public func bytes(_ name: String) throws(ApusError) -> Int64 { try FileTree.bytes("\(self.folder)/\(name)") }

    /// Takes one away from its name at once, whole: a crash before it is removed must not leave half of it.
    /// - Returns: what ``remove(_:)`` takes; nil when it is not there.
    public func retire(_ name: String) throws(ApusError) -> String? {
        guard BundleHash.isWellFormed(name), FileTree.isDirectory("\(self.folder)/\(name)") else { return nil }
        let retired = "\(Self.retiredPrefix)\(name)-\(UInt64.random(in: .min ... .max))"
        guard rename("\(self.folder)/\(name)", "\(self.folder)/\(retired)") == 0 else {
            throw FileTree.failure("rename", "\(self.folder)/\(name)")
        }
        return retired
    }

    /// Removes what was retired, or half-written.
    public func remove(_ partial: String) throws(ApusError) {
        guard partial.hasPrefix(BundleStore.partialPrefix) else { return }
        try FileTree.remove("\(self.folder)/\(partial)")
    }

    /// What an interrupted upload or removal left before a time.
    public func leftovers(before time: Timestamp) throws(ApusError) -> [String] {
        guard FileTree.isDirectory(self.folder) else { return [] }
        var names: [String] = []
        for name in try FileTree.names(in: self.folder) where name.hasPrefix(BundleStore.partialPrefix) {
            if try FileTree.changed("\(self.folder)/\(name)") < time { names.append(name) }
        }
        return names.sorted()
    }
}

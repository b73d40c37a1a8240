/// A file or directory of an archive.
public struct ArchiveEntry: Sendable, Equatable {
    public enum Kind: Sendable, Hashable {
        case directory
        case file
        /// A file with the executable bit.
        case executable
    }

    /// Relative, with `/` between components and none at either end.
    public var path: String
    public var kind: Kind
    /// Empty for a directory.
    public var contents: [UInt8]

    public init(path: String, kind: Kind, contents: [UInt8] = []) {
        self.path = path
        self.kind = kind
        self.contents = contents
    }
}

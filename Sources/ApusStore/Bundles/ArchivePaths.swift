internal import ApusCore

/// The paths of an archive so far, each checked before it is added: relative, inside the folder, bounded, none twice, none below
/// a file.
struct ArchivePaths {
    private var directories: Set<String> = []
    private var files: Set<String> = []
    private var count = 0

    mutating func add(_ path: String, isDirectory: Bool) throws(ApusError) {
        self.count += 1
        guard self.count <= Limits.Bundle.entries else {
            throw ApusError(
                .bundleTooLarge,
                "the bundle has more than \(Limits.Bundle.entries) files and directories: list what is not needed in .apusignore"
            )
        }
        try Self.check(path)
        var parent = path[...]
        while let slash = parent.lastIndex(of: "/") {
            parent = parent[..<slash]
            guard !self.files.contains(String(parent)) else {
                throw Archive.invalid("'\(parent)' is a file and the folder of '\(path)'")
            }
            self.directories.insert(String(parent))
        }
        if isDirectory {
            guard !self.files.contains(path) else { throw Archive.invalid("'\(path)' is there twice") }
            self.directories.insert(path)
        } else {
            guard !self.directories.contains(path), self.files.insert(path).inserted else {
                throw Archive.invalid("'\(path)' is there twice")
            }
        }
    }

    static func check(_ path: String) throws(ApusError) {
        guard (1...Limits.Bundle.pathBytes).contains(path.utf8.count) else {
            throw Archive.invalid(
                "the path '\(path.prefix(64))…' has \(path.utf8.count) bytes; at most \(Limits.Bundle.pathBytes) fit")
        }
        guard !path.hasPrefix("/") else { throw Archive.invalid("the path '\(path)' is absolute") }
        guard path.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            throw Archive.invalid("a path holds control characters")
        }
        let components = path.split(separator: "/", omittingEmptySubsequences: false)
        guard components.count <= Limits.Bundle.depth else {
            throw Archive.invalid("the path '\(path)' is deeper than \(Limits.Bundle.depth) folders")
        }
        guard !components.contains(where: { $0.isEmpty || $0 == "." || $0 == ".." }) else {
            throw Archive.invalid("the path '\(path)' does not stay inside the bundle")
        }
    }
}

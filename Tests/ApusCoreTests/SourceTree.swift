import ApusTestSupport
import Glibc

/// This repository's own files, for tests that hold it to what it says. Paths are from its root.
enum SourceTree {
    private static let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")

    /// All files below a folder, hidden ones left out.
    static func files(_ folder: String, ending: String) -> [String] {
        var found: [String] = []
        guard let directory = opendir("\(Self.root)/\(folder)") else { return [] }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasPrefix(".") { continue }
            let path = "\(folder)/\(name)"
            if entry.pointee.d_type == UInt8(DT_DIR) {
                found += Self.files(path, ending: ending)
            } else if name.hasSuffix(ending) {
                found.append(path)
            }
        }
        return found
    }

    static func text(_ path: String) throws -> String {
        String(decoding: try readFile("\(Self.root)/\(path)"), as: UTF8.self)
    }

    /// Empty ones too.
    static func lines(_ path: String) throws -> [Substring] {
        try Self.text(path).split(separator: "\n", omittingEmptySubsequences: false)
    }
}

internal import Glibc

/// A directory of its own for one test, deleted with everything in it when the value goes.
public final class ScratchDirectory: Sendable {
    public let path: String

    /// - Parameter parent: where to make it; the system's folder for temporary files by default.
    public init(_ name: String = "apus", in parent: String? = nil) {
        let parent = parent ?? ScratchDirectory.temporary
        var template = Array("\(parent)/\(name)-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { $0.baseAddress.map { mkdtemp($0) != nil } ?? false }
        precondition(made, "cannot make a scratch directory in \(parent)")
        self.path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { ScratchDirectory.remove(self.path) }

    private static var temporary: String {
        guard let path = getenv("TMPDIR") else { return "/tmp" }
        return String(cString: path)
    }

    /// Deletes a file or a directory with what is in it. Links are deleted, not followed.
    private static func remove(_ path: String) {
        if let directory = opendir(path), !ScratchDirectory.isLink(path) {
            while let entry = readdir(directory) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                if name != ".", name != ".." { ScratchDirectory.remove("\(path)/\(name)") }
            }
            closedir(directory)
            rmdir(path)
        } else {
            unlink(path)
        }
    }

    private static func isLink(_ path: String) -> Bool {
        var target: CChar = 0
        return readlink(path, &target, 1) >= 0
    }
}

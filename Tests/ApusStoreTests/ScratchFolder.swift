import Glibc

@testable import ApusStore

/// A folder of one test, removed with all in it when the test ends.
final class ScratchFolder {
    let path: String

    init() {
        var template = Array("/tmp/apus-store-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { preconditionFailure("mkdtemp failed: \(errno)") }
        self.path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        do { try FileTree.remove(self.path) } catch { print("could not remove \(self.path): \(error)") }
    }

    func write(_ path: String, _ text: String, mode: mode_t = 0o644) {
        let full = "\(self.path)/\(path)"
        var at = full.utf8.index(after: full.utf8.startIndex)
        while let slash = full.utf8[at...].firstIndex(of: UInt8(ascii: "/")) {
            mkdir(String(full[..<slash]), 0o755)
            at = full.utf8.index(after: slash)
        }
        let descriptor = open(full, O_WRONLY | O_CREAT | O_TRUNC, mode)
        precondition(descriptor >= 0, "open \(full): \(errno)")
        precondition(Glibc.write(descriptor, text, text.utf8.count) == text.utf8.count)
        close(descriptor)
    }

    func mode(_ path: String) -> mode_t {
        var status = stat()
        guard stat("\(self.path)/\(path)", &status) == 0 else { return 0 }
        return status.st_mode & 0o7777
    }

    func exists(_ path: String) -> Bool { access("\(self.path)/\(path)", F_OK) == 0 }
}

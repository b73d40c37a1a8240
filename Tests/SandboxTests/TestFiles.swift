import ApusTestSupport
import Glibc

/// Small file helpers; a failure ends the test run with its reason, since nothing works without them.
enum TestFiles {
    static func makeFolder(_ path: String, mode: mode_t = 0o755) {
        precondition(mkdir(path, mode) == 0 || errno == EEXIST, "cannot make \(path): errno \(errno)")
        chmod(path, mode)
    }

    static func write(_ text: String, to path: String, mode: mode_t = 0o644) {
        self.write(Array(text.utf8), to: path, mode: mode)
    }

    static func write(_ bytes: [UInt8], to path: String, mode: mode_t = 0o644) {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode)
        precondition(file >= 0, "cannot write \(path): errno \(errno)")
        defer { close(file) }
        precondition(Glibc.write(file, bytes, bytes.count) == bytes.count)
        fchmod(file, mode)
    }

    static func read(_ path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        return self.drain(file)
    }

    /// Everything the descriptor gives until it ends or would block.
    static func drain(_ descriptor: CInt) -> String {
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            all.append(contentsOf: buffer[..<count])
        }
        return String(decoding: all, as: UTF8.self)
    }

    static func copy(_ source: String, to target: String, mode: mode_t) {
        let from = open(source, O_RDONLY | O_CLOEXEC)
        let to = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        precondition(from >= 0 && to >= 0, "cannot copy \(source) to \(target): errno \(errno)")
        defer {
            close(from)
            close(to)
        }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(from, &buffer, buffer.count)
            precondition(count >= 0)
            if count == 0 { break }
            precondition(Glibc.write(to, buffer, count) == count)
        }
        fchmod(to, mode)
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// Removes a folder of the tests with all that is in it.
    static func remove(_ path: String) {
        for name in Folder.names(path) {
            let child = "\(path)/\(name)"
            if unlink(child) != 0 { self.remove(child) }
        }
        rmdir(path)
    }
}

internal import ApusCore
internal import Glibc

/// A file that a command makes because its caller named it.
enum OutputFile {
    /// - Throws: `invalid_argument` with the reason.
    static func write(_ text: String, to path: String) throws(ApusError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw Self.failure(path) }
        defer { close(descriptor) }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Self.failure(path) }
            rest = rest.dropFirst(count)
        }
    }

    private static func failure(_ path: String) -> ApusError {
        ApusError(.invalidArgument, "'\(path)' cannot be written: \(String(cString: strerror(errno)))")
    }
}

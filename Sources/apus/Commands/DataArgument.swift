internal import ApusCore
internal import Glibc

/// Data given on the command line: as it is, `@file`, or `-` for standard input.
enum DataArgument {
    /// - Throws: `invalid_argument` where it cannot be read, `body_too_large`.
    static func read(_ text: String, _ terminal: any Terminal) throws(ApusError) -> [UInt8] {
        if text == "-" { return try Self.readInput(terminal) }
        guard text.hasPrefix("@") else { return Array(text.utf8) }
        return try Self.readFile(String(text.dropFirst()), limit: Limits.Commands.dataBytes)
    }

    static func readFile(_ path: String, limit: Int) throws(ApusError) -> [UInt8] {
        let reader = try FileReader(path: path)
        var bytes: [UInt8] = []
        while true {
            let chunk = try reader.read()
            if chunk.isEmpty { return bytes }
            bytes += chunk
            guard bytes.count <= limit else { throw ApusError(.bodyTooLarge, "'\(path)' has more than \(limit) bytes") }
        }
    }

    private static func readInput(_ terminal: any Terminal) throws(ApusError) -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            let chunk = try terminal.readInput()
            if chunk.isEmpty { return bytes }
            bytes += chunk
            guard bytes.count <= Limits.Commands.dataBytes else {
                throw ApusError(.bodyTooLarge, "standard input has more than \(Limits.Commands.dataBytes) bytes")
            }
        }
    }

    /// `application/json` for what is JSON, `text/plain` for other text, else `application/octet-stream`.
    static func contentType(of data: [UInt8]) -> String {
        if JSONText.isJSON(data) { return "application/json" }
        return String(validating: data, as: UTF8.self) == nil ? "application/octet-stream" : "text/plain"
    }
}

/// An open file, read in pieces.
final class FileReader {
    private static let chunkBytes = 256 * 1024
    private let descriptor: CInt
    let path: String

    /// - Throws: `invalid_argument` with the reason.
    init(path: String) throws(ApusError) {
        self.descriptor = open(path, O_RDONLY | O_CLOEXEC)
        self.path = path
        guard self.descriptor >= 0 else {
            throw ApusError(.invalidArgument, "'\(path)' cannot be read: \(String(cString: strerror(errno)))")
        }
    }

    deinit { if self.descriptor >= 0 { close(self.descriptor) } }

    /// The next bytes; empty at the end.
    func read() throws(ApusError) -> [UInt8] {
        var chunk = [UInt8](repeating: 0, count: Self.chunkBytes)
        while true {
            let count = chunk.withUnsafeMutableBytes { Glibc.read(self.descriptor, $0.baseAddress, $0.count) }
            if count >= 0 { return Array(chunk[..<count]) }
            guard errno == EINTR else {
                throw ApusError(.invalidArgument, "'\(self.path)' cannot be read: \(String(cString: strerror(errno)))")
            }
        }
    }
}

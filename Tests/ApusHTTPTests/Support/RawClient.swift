import Glibc
import Testing

/// A TCP client that sends exactly the bytes it is given.
final class RawClient {
    struct Response: Equatable {
        var status = 0
        var headers: [(String, String)] = []
        var body: [UInt8] = []

        func header(_ name: String) -> String? { self.headers.first { $0.0 == name.lowercased() }?.1 }
        var text: String { String(decoding: self.body, as: UTF8.self) }
        static func == (left: Response, right: Response) -> Bool {
            left.status == right.status && left.body == right.body
        }
    }

    private var descriptor: CInt
    private var buffer: [UInt8] = []
    /// The server closed or reset the connection.
    private(set) var isAtEnd = false

    init(port: UInt16) throws {
        self.descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        var limit = timeval(tv_sec: 30, tv_usec: 0)
        setsockopt(self.descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(self.descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var one: CInt = 1
        setsockopt(self.descriptor, CInt(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<CInt>.size))
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let status = withUnsafePointer(to: &name) { name in
            name.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                connect(self.descriptor, address, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else { throw NotConnected(error: errno) }
    }

    deinit { self.close() }

    func close() {
        guard self.descriptor >= 0 else { return }
        Glibc.close(self.descriptor)
        self.descriptor = -1
    }

    /// Closes so that the server sees a reset and not an end.
    func reset() {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(self.descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        self.close()
    }

    /// - Returns: false when the server no longer takes anything.
    @discardableResult
    func send(_ text: String) -> Bool { self.send(Array(text.utf8)) }

    @discardableResult
    func send(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { raw -> Int in
                guard let base = raw.baseAddress else { return -1 }
                return Glibc.send(self.descriptor, base + sent, bytes.count - sent, CInt(MSG_NOSIGNAL))
            }
            if count <= 0 { return false }
            sent += count
        }
        return true
    }

    /// Reads one whole response.
    /// - Parameter hasBody: false for the answer to a HEAD.
    func response(hasBody: Bool = true) throws -> Response {
        var response = try self.head()
        guard hasBody else { return response }
        if response.header("transfer-encoding") == "chunked" {
            while let chunk = try self.chunk() { response.body += chunk }
        } else if let length = response.header("content-length").flatMap({ Int($0) }) {
            try self.fill(length)
            response.body = Array(self.buffer.prefix(length))
            self.buffer.removeFirst(length)
        }
        return response
    }

    /// The status line and the headers.
    func head() throws -> Response {
        var response = Response()
        let words = try self.line().split(separator: " ")
        response.status = try #require(words.count > 1 ? Int(words[1]) : nil)
        while true {
            let line = try self.line()
            if line.isEmpty { return response }
            let colon = try #require(line.firstIndex(of: ":"))
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            response.headers.append((line[..<colon].lowercased(), String(value)))
        }
    }

    /// The next part of a chunked body; nil after the last.
    func chunk() throws -> [UInt8]? {
        let size = try #require(Int(try self.line(), radix: 16))
        try self.fill(size + 2)
        let chunk = Array(self.buffer.prefix(size))
        self.buffer.removeFirst(size + 2)
        return size == 0 ? nil : chunk
    }

    /// Everything until the server closes.
    func rest() -> [UInt8] {
        while self.receive() {}
        defer { self.buffer = [] }
        return self.buffer
    }

    private func line() throws -> String {
        while true {
            if let end = self.buffer.firstIndex(of: 0x0A) {
                let line = self.buffer[..<end].filter { $0 != 0x0D }
                self.buffer.removeFirst(end + 1)
                return String(decoding: line, as: UTF8.self)
            }
            try #require(
                self.receive(), "the server closed before a whole line: \(String(decoding: self.buffer, as: UTF8.self))"
            )
        }
    }

    private func fill(_ count: Int) throws {
        while self.buffer.count < count {
            try #require(self.receive(), "the server closed after \(self.buffer.count) of \(count) bytes")
        }
    }

    private func receive() -> Bool {
        var part = [UInt8](repeating: 0, count: 64 * 1024)
        let count = recv(self.descriptor, &part, part.count, 0)
        guard count > 0 else {
            self.isAtEnd = true
            return false
        }
        self.buffer.append(contentsOf: part.prefix(count))
        return true
    }
}

/// `connect` failed.
struct NotConnected: Error {
    let error: CInt
}

/// The usual head for tests.
func request(_ method: String, _ target: String, _ headers: [String] = [], body: String? = nil) -> String {
    var lines = ["\(method) \(target) HTTP/1.1", "Host: localhost"] + headers
    if let body { lines.append("Content-Length: \(body.utf8.count)") }
    return (lines + ["", body ?? ""]).joined(separator: "\r\n")
}

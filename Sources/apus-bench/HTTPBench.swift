internal import BenchFloors
internal import Glibc

/// Requests over HTTP through a whole server: a synchronous invocation of a sandboxed echo, Python and native, and publishing in batches,
/// beside a bare route of the same listener that echoes the same body. Needs root and an installed tree.
enum HTTPBench {
    private static let connections = 64
    private static let eventsPerBatch = 100
    private static let dataBytes = 256

    static func run(_ options: BenchOptions) throws -> BenchReport {
        let count = try options.number("count", default: 60_000)
        let trips = try options.number("trips", default: 4_000)
        let batches = try options.number("batches", default: 3_000)
        let floor = try HTTPBenchFloor()
        defer { floor.close() }
        let server = try HTTPBenchServer(
            directory: options.directory,
            functions: HTTPBenchFunctions(
                concurrency: try options.number("concurrency", default: 64),
                workers: try options.number("workers", default: 1)))
        defer { server.close() }
        let small = Array(#"{"text":"how quick is an answer?"}"#.utf8)
        let bare = HTTPBenchLoad(port: floor.port, path: "/echo", body: small)
        let python = HTTPBenchLoad(
            port: server.port, path: "/v1/functions/python/invoke", body: small, token: server.token)
        let native = HTTPBenchLoad(
            port: server.port, path: "/v1/functions/native/invoke", body: small, token: server.token)
        let batch = Self.batch()
        let publish = HTTPBenchLoad(
            port: server.port, path: "/v1/topics/events/events", body: batch,
            type: "application/cloudevents-batch+json",
            token: server.token)
        for load in [bare, python, native] { _ = try load.run(connections: Self.connections, count: count / 10) }
        _ = try publish.run(connections: Self.connections, count: batches / 10)

        var figures: [String: Figure] = [:]
        func add(_ name: String, _ unit: String, _ sample: Double, floor: Double? = nil) {
            figures[name, default: Figure(name, unit: unit)].add(sample, floor: floor)
        }
        let only = options.others["only"]
        for _ in 0..<options.rounds {
            let floorMany = try bare.run(connections: Self.connections, count: count)
            let floorOne = try bare.run(connections: 1, count: trips)
            for (name, load) in [("python", python), ("native", native)] where only == nil || only == name {
                let many = try load.run(connections: Self.connections, count: count)
                let one = try load.run(connections: 1, count: trips)
                add("\(name).rate", "1/s", many.rate, floor: floorMany.rate)
                add("\(name).p99", "us", many.percentile(99), floor: floorMany.percentile(99))
                add("\(name).one_p50", "us", one.percentile(50), floor: floorOne.percentile(50))
            }
            guard only == nil || only == "publish" else { continue }
            let published = try publish.run(connections: Self.connections, count: batches)
            add("publish_rate", "1/s", published.rate * Double(Self.eventsPerBatch))
        }
        let order =
            ["python", "native"].flatMap { name in ["rate", "p99", "one_p50"].map { "\(name).\($0)" } } + [
                "publish_rate"
            ]
        return BenchReport("http", order.compactMap { figures[$0] })
    }

    /// One batch of CloudEvents in JSON, each with so many bytes of data.
    private static func batch() -> [UInt8] {
        let filler = String(repeating: "x", count: Self.dataBytes - #"{"text":""}"#.utf8.count)
        let events = (0..<Self.eventsPerBatch).map { index in
            #"{"specversion":"1.0","id":"\#(index)","source":"/bench","type":"dev.apus.bench","partitionkey":"k\#(index)","#
                + #""datacontenttype":"application/json","data":{"text":"\#(filler)"}}"#
        }
        return Array("[\(events.joined(separator: ","))]".utf8)
    }
}

/// One kind of request, sent over and over.
struct HTTPBenchLoad {
    struct Result {
        var rate: Double
        var times: [UInt64]

        /// In microseconds.
        func percentile(_ percent: Double) -> Double {
            apus_bench.percentile(percent, of: self.times.map { Double($0) / 1_000 })
        }
    }

    let port: UInt16
    let request: [UInt8]

    init(
        port: UInt16, path: String, body: [UInt8], type: String = "application/json", token: String? = nil,
        headers: [(name: String, value: String)] = []
    ) {
        var head =
            "POST \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: \(type)\r\nContent-Length: \(body.count)\r\n"
        if let token { head += "Authorization: Bearer \(token)\r\n" }
        for header in headers { head += "\(header.name): \(header.value)\r\n" }
        self.port = port
        self.request = Array("\(head)\r\n".utf8) + body
    }

    /// Sends the request and waits for nothing.
    /// - Returns: the connection, for the caller to close.
    func begin() throws -> CInt {
        let socket = Glibc.socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        guard socket >= 0 else { throw BenchFailure("no socket") }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = self.port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0, send(socket, self.request, self.request.count, 0) == self.request.count else {
            close(socket)
            throw BenchFailure("the server does not listen")
        }
        return socket
    }

    /// The body of one answer.
    func answer() throws -> [UInt8] {
        let socket = try self.begin()
        defer { close(socket) }
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(socket, &buffer, buffer.count, 0)
            guard count > 0 else { throw BenchFailure("the server closed a connection") }
            answer += buffer[..<count]
            if let body = try Self.body(of: answer) { return body }
        }
    }

    /// Nil while more must come.
    private static func body(of answer: [UInt8]) throws -> [UInt8]? {
        let end: [UInt8] = Array("\r\n\r\n".utf8)
        guard let head = answer.firstRange(of: end) else { return nil }
        let lines = String(decoding: answer[..<head.lowerBound], as: UTF8.self).split(separator: "\r\n")
        guard let status = lines.first, status.hasPrefix("HTTP/1.1 200"),
            let length = lines.first(where: { $0.lowercased().hasPrefix("content-length:") })?.split(separator: " ").last,
            let count = Int(length)
        else { throw BenchFailure("the answer is none that counts: \(String(decoding: answer.prefix(300), as: UTF8.self))") }
        let body = answer[head.upperBound...]
        return body.count < count ? nil : Array(body.prefix(count))
    }

    /// - Parameter pause: microseconds between an answer and the next request, where there is one connection.
    func run(connections: Int, count: Int, pause: UInt32 = 0) throws -> Result {
        var times = [UInt64](repeating: 0, count: count)
        var problem = [CChar](repeating: 0, count: 512)
        let seconds = self.request.withUnsafeBytes { bytes in
            http_load(
                self.port, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count, CInt(connections),
                CInt(count), pause, &times, &problem, problem.count)
        }
        guard seconds > 0 else {
            let text = String(decoding: problem.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            throw BenchFailure("the load broke off: \(text)")
        }
        return Result(rate: Double(count) / seconds, times: times)
    }
}

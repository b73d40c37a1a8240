import ApusCore
import ApusSandbox
import CShims
import Glibc
import Testing

/// A nursery with the real runtime of Python and the zygote of one function in it, spoken with frame by frame as the server does.
final class ForkBench {
    /// The code that a call is given to run; `result` is what it answers with.
    static let main = """
        import json, os, random
        secret = bytearray(b"shared by all calls, and no secret")
        def handle(event, context):
            scope = dict(event.data.get("given", {}))
            exec(event.data["code"], scope)
            return scope.get("result")
        """

    let nursery: Nursery
    private(set) var zygote: FrameLine
    private var descriptors: [CInt] = []
    private var next: UInt64 = 0
    private var calls: [UInt64: [CInt]] = [:]
    private let configuration: String

    /// - Parameter letter: names the bundle.
    init(main: String = ForkBench.main, letter: Character = "f", children: Int = 4, memory: Int = 128 << 20) throws {
        _ = Laboratory.shared
        let bundle = String(repeating: letter, count: 64)
        TestFiles.makeFolder("\(Laboratory.dataDirectory)/bundles/\(bundle)")
        TestFiles.write(main, to: "\(Laboratory.dataDirectory)/bundles/\(bundle)/main.py")
        self.nursery = try Nursery.start(
            Nursery.Configuration(
                executable: Laboratory.nurseryExecutable, dataDirectory: Laboratory.dataDirectory,
                runtimes: "\(Laboratory.packageFolder)/sandbox/runtimes",
                profiles: "\(Laboratory.packageFolder)/sandbox/profiles", slots: 4))
        self.configuration = #""handler": "main:handle", "path": "/function", "concurrency": 1"#
        self.zygote = FrameLine(reading: -1, writing: -1)
        var request = Self.request(bundle: letter)
        request.memory_bytes = UInt64(memory * (children + 1))
        let event = try self.exchange(request)
        try #require(event.kind == NURSERY_LAUNCHED.rawValue, "\(text(event.message))")
        self.zygote = FrameLine(reading: self.descriptors[1], writing: self.descriptors[0])
        try #require(self.zygote.next().header.type == .hello)
        self.zygote.send(
            .initialize,
            Array("{\(self.configuration), \"forks\": {\"children\": \(children), \"memory\": \(memory)}}".utf8))
    }

    static func request(bundle: Character) -> nursery_request {
        var request = nursery_request()
        request.magic = NURSERY_MAGIC
        request.operation = NURSERY_LAUNCH.rawValue
        request.ticket = 1
        request.runtime = LaunchOrder.Runtime.forks.rawValue
        request.memory_bytes = 128 << 20
        request.scratch_bytes = 8 << 20
        request.cpu_millis = 2_000
        request.processes = 40
        request.open_files = 64
        withUnsafeMutableBytes(of: &request.bundle) { for index in 0..<64 { $0[index] = bundle.asciiValue ?? 0 } }
        return request
    }

    func exchange(_ request: nursery_request) throws -> nursery_event {
        let bytes = withUnsafeBytes(of: request) { Array($0) }
        let channel = self.nursery.channels[0]
        try #require(send(channel, bytes, bytes.count, CInt(MSG_NOSIGNAL)) == bytes.count)
        return try self.event()
    }

    /// What the nursery says next.
    func event() throws -> nursery_event {
        try #require(apus_wait_readable(self.nursery.channels[0], 10_000) == 1)
        var event = nursery_event()
        var descriptors = [CInt](repeating: -1, count: Int(NURSERY_DESCRIPTORS))
        var count: CInt = 0
        try #require(
            apus_receive_event(self.nursery.channels[0], &event, &descriptors, &count)
                == MemoryLayout<nursery_event>.size)
        if count > 0 { self.descriptors = Array(descriptors.prefix(Int(count))) }
        return event
    }

    func close() {
        for descriptor in self.descriptors + self.calls.values.flatMap({ $0 }) { Glibc.close(descriptor) }
        for channel in self.nursery.channels { Glibc.close(channel) }
        var status: CInt = 0
        _ = apus_wait_for(self.nursery.process, &status)
    }

    /// What the zygote printed when it could not go on.
    var errors: String { TestFiles.drain(self.descriptors[4]) }

    // MARK: calls

    /// A process that has said READY, and what speaks with it.
    func fork() throws -> (number: UInt64, line: FrameLine) {
        self.next += 1
        var ours = [CInt](repeating: -1, count: 5)
        var theirs = ours
        try #require(apus_channel_make_call(&ours, &theirs) == 0)
        self.calls[self.next] = ours
        defer { for descriptor in theirs { Glibc.close(descriptor) } }
        try #require(apus_channel_send_call(self.descriptors[2], theirs, self.next) == 0)
        self.zygote.send(.fork, stream: self.next)
        let (header, _) = try self.zygote.next()
        try #require(header.type == .forked && header.stream == self.next, "\(header) \(self.errors)")
        let line = FrameLine(reading: ours[1], writing: ours[0])
        try #require(line.next().header.type == .hello, "\(TestFiles.drain(ours[4]))")
        line.send(.initialize, Array("{\(self.configuration)}".utf8))
        try #require(line.next().header.type == .ready)
        try #require(line.next().header.type == .credit)
        return (self.next, line)
    }

    /// Kills a call and waits until it is gone.
    @discardableResult
    func kill(_ number: UInt64) throws -> Int32 {
        self.zygote.send(.kill, stream: number)
        let (header, payload) = try self.zygote.next()
        try #require(header.type == .ended && header.stream == number && payload.count == 8)
        return payload.span.bytes.littleEndian(at: 4, as: Int32.self)
    }

    /// Runs code in a call of its own and kills it.
    func run(_ code: String, given: String = "{}") throws -> String {
        let call = try self.fork()
        defer { _ = try? self.kill(call.number) }
        return try call.line.run(code, given: given)
    }
}

func text<Field>(_ field: Field) -> String {
    withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
}

/// Frames over two descriptors.
final class FrameLine {
    private let reading: CInt
    private let writing: CInt
    private var buffer: [UInt8] = []

    init(reading: CInt, writing: CInt) {
        self.reading = reading
        self.writing = writing
    }

    func send(_ type: FrameType, _ payload: [UInt8] = [], stream: UInt64 = 0) {
        var bytes: [UInt8] = []
        FrameHeader(type, stream: stream, length: payload.count).append(to: &bytes)
        bytes += payload
        _ = bytes.withUnsafeBytes { write(self.writing, $0.baseAddress, $0.count) }
    }

    func next(milliseconds: CInt = 20_000) throws -> (header: FrameHeader, payload: [UInt8]) {
        while true {
            if self.buffer.count >= FrameHeader.byteCount {
                let header = try FrameHeader(parsing: self.buffer.span.bytes)
                let size = FrameHeader.byteCount + header.length
                if self.buffer.count >= size {
                    let payload = Array(self.buffer[FrameHeader.byteCount..<size])
                    self.buffer.removeFirst(size)
                    return (header, payload)
                }
            }
            guard apus_wait_readable(self.reading, milliseconds) == 1 else {
                throw ApusError(.protocolError, "no frame")
            }
            var bytes = [UInt8](repeating: 0, count: 65_536)
            let count = read(self.reading, &bytes, bytes.count)
            guard count > 0 else { throw ApusError(.protocolError, "it ended") }
            self.buffer += bytes[..<count]
        }
    }

    /// Has the handler of ``ForkBench/main`` run code; returns the JSON it answered with, or what failed.
    func run(_ code: String, given: String = "{}") throws -> String {
        var head = [UInt8](repeating: 0, count: InvokeHead.byteCount)
        let invoke = InvokeHead(
            attempt: 1, trigger: InvokeHead.direct, partition: 0, offset: -1, invocation: InvocationID(high: 0, low: 1))
        head.withUnsafeMutableBytes { if let base = $0.baseAddress { invoke.write(to: base) } }
        let quoted = code.unicodeScalars.map { scalar in
            switch scalar {
            case "\n": "\\n"
            case "\"": "\\\""
            case "\\": "\\\\"
            default: String(scalar)
            }
        }.joined()
        let event = Event(
            attributes: [Attribute("datacontenttype", "application/json")],
            data: Array("{\"code\": \"\(quoted)\", \"given\": \(given)}".utf8))
        self.send(.invoke, head + EventBlock.encode(event), stream: 1)
        let (header, payload) = try self.next()
        guard header.type == .error else {
            return String(decoding: try EventBlock.decode(payload.span.bytes).data ?? [], as: UTF8.self)
        }
        return "failed: \(try ErrorPayload(parsing: payload.span.bytes).message)"
    }
}

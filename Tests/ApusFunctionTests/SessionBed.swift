import ApusCore
import Glibc
import Synchronization
import Testing

@testable import ApusFunction

/// The server's side of one session, over real pipes: what the SDK would find on descriptors 3, 4 and 5.
final class SessionBed: Sendable {
    struct Frame: Sendable {
        var header: FrameHeader
        var payload: [UInt8]
        var type: FrameType { self.header.type }
    }

    private let toWorker: CInt
    private let fromWorker: CInt
    private let sealed: CInt
    private let buffer = Mutex<[UInt8]>([])
    let code = Mutex<Int32?>(nil)
    let session: Session

    init(_ function: Function) throws {
        var down: [CInt] = [-1, -1]
        var up: [CInt] = [-1, -1]
        var pair: [CInt] = [-1, -1]
        guard pipe(&down) == 0, pipe(&up) == 0,
            socketpair(AF_UNIX, CInt(SOCK_SEQPACKET.rawValue), 0, &pair) == 0
        else { throw ApusError(.internal, "no pipes for the test: \(errno)") }
        self.toWorker = down[1]
        self.fromWorker = up[0]
        self.sealed = pair[0]
        self.session = Session(function, input: down[0], output: up[1], ancillary: pair[1])
    }

    deinit {
        for descriptor in [self.toWorker, self.fromWorker, self.sealed] { close(descriptor) }
    }

    static let initialization = #"""
        {"function": "tested", "namespace": "default", "revision": "r1", "handler": "x", "concurrency": 4, "batch": null,
         "triggers": [{"name": "documents", "topic": "documents", "table": false}], "emits": ["alerts"], "unknown": [1]}
        """#

    /// Runs the session beside `body`, with HELLO, INIT and READY done.
    static func run(
        _ function: Function, initialization: String = SessionBed.initialization, isReady: Bool = true,
        _ body: @escaping @Sendable (SessionBed) async throws -> Void
    ) async throws {
        let bed = try SessionBed(function)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                let code = await bed.session.run()
                bed.code.withLock { $0 = code }
            }
            // A body that throws must end the session too, or the group would wait for it without end.
            defer { bed.closeInput() }
            #expect(try await bed.next().type == .hello)
            bed.send(.initialize, Array(initialization.utf8))
            if isReady {
                #expect(try await bed.next().type == .ready)
                #expect(try await bed.next().type == .credit)
            }
            try await body(bed)
            bed.closeInput()
            try await group.waitForAll()
        }
    }

    private let isInputClosed = Mutex(false)
    func closeInput() {
        let isFirst = self.isInputClosed.withLock { closed in
            defer { closed = true }
            return !closed
        }
        // The descriptor itself is closed with the bed; its place must not be taken meanwhile.
        if isFirst {
            let null = open("/dev/null", O_WRONLY)
            dup2(null, self.toWorker)
            close(null)
        }
    }

    // MARK: sending

    func sendRaw(_ bytes: [UInt8]) {
        var at = 0
        while at < bytes.count {
            let count = bytes[at...].withUnsafeBytes { write(self.toWorker, $0.baseAddress, $0.count) }
            guard count > 0 else { return }
            at += count
        }
    }

    func send(
        _ type: FrameType, _ payload: [UInt8] = [], flags: FrameFlags = [], stream: UInt64 = 0,
        deadline: Timestamp = .zero
    ) {
        var bytes: [UInt8] = []
        FrameHeader(type, flags: flags, stream: stream, deadline: deadline, length: payload.count).append(to: &bytes)
        self.sendRaw(bytes + payload)
    }

    static func head(attempt: UInt32 = 1, trigger: UInt32 = InvokeHead.direct, offset: Int64 = -1) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: InvokeHead.byteCount)
        let head = InvokeHead(
            attempt: attempt, trigger: trigger, partition: 2, offset: offset, invocation: InvocationID(high: 1, low: 2))
        bytes.withUnsafeMutableBytes { if let base = $0.baseAddress { head.write(to: base) } }
        return bytes
    }

    static func block(
        _ data: String?, type: String? = "application/json", key: String? = nil, _ more: [Attribute] = []
    ) -> [UInt8] {
        let attributes = (type.map { [Attribute("datacontenttype", $0)] } ?? []) + more
        return EventBlock.encode(
            ApusCore.Event(key: key.map { Array($0.utf8) }, attributes: attributes, data: data.map { Array($0.utf8) }))
    }

    func invoke(_ stream: UInt64, _ data: String?, type: String? = "application/json", flags: FrameFlags = []) {
        self.send(.invoke, Self.head() + Self.block(data, type: type), flags: flags, stream: stream)
    }

    func sendSealed(_ stream: UInt64, _ data: [UInt8]) throws {
        var name = Array("/tmp/apus-sdk-test-XXXXXX".utf8CString)
        let memory = mkstemp(&name)
        unlink(name)
        defer { close(memory) }
        guard memory >= 0, write(memory, data, data.count) == data.count else {
            throw ApusError(.internal, "no memory file: \(errno)")
        }
        var tag = stream.littleEndian
        // Length 20, SOL_SOCKET, SCM_RIGHTS, the descriptor: as the kernel lays it out on 64 bits.
        var control: (UInt64, CInt, CInt, CInt, CInt) = (20, SOL_SOCKET, 1, memory, 0)
        let sent = withUnsafeMutablePointer(to: &tag) { tag in
            withUnsafeMutablePointer(to: &control) { control in
                var part = iovec(iov_base: tag, iov_len: 8)
                return withUnsafeMutablePointer(to: &part) { part in
                    var message = msghdr()
                    message.msg_iov = part
                    message.msg_iovlen = 1
                    message.msg_control = UnsafeMutableRawPointer(control)
                    message.msg_controllen = 24
                    return sendmsg(self.sealed, &message, 0)
                }
            }
        }
        guard sent == 8 else { throw ApusError(.internal, "no message: \(errno)") }
    }

    // MARK: receiving

    /// The next frame, waited for on a thread of its own: the tasks of the session need those that tests run on.
    func next() async throws -> Frame {
        try await withCheckedThrowingContinuation { continuation in
            Descriptors.startThread { continuation.resume(with: Result { try self.wait() }) }
        }
    }

    private func wait() throws -> Frame {
        while true {
            let frame: Frame? = try self.buffer.withLock { buffer in
                guard buffer.count >= FrameHeader.byteCount else { return nil }
                let header = try FrameHeader(parsing: buffer.span.bytes)
                let size = FrameHeader.byteCount + header.length
                guard buffer.count >= size else { return nil }
                defer { buffer.removeFirst(size) }
                return Frame(header: header, payload: Array(buffer[FrameHeader.byteCount..<size]))
            }
            if let frame { return frame }
            var poll = pollfd(fd: self.fromWorker, events: Int16(POLLIN), revents: 0)
            guard Glibc.poll(&poll, 1, 60_000) == 1 else {
                let end = self.code.withLock { $0.map { "; the session ended with code \($0)" } ?? "" }
                throw ApusError(.internal, "no frame within 60 s\(end)")
            }
            var bytes = [UInt8](repeating: 0, count: 1 << 20)
            let count = read(self.fromWorker, &bytes, bytes.count)
            guard count > 0 else { throw ApusError(.internal, "the session ended") }
            self.buffer.withLock { $0 += bytes[..<count] }
        }
    }

    func result() async throws -> ApusCore.Event {
        var frame = try await self.next()
        guard frame.type == .result || frame.type == .itemResult else {
            throw ApusError(.internal, "\(frame.type): \(String(decoding: frame.payload, as: UTF8.self))")
        }
        var block = frame.payload
        while frame.header.flags.contains(.more) {
            frame = try await self.next()
            guard frame.type == .data else { throw ApusError(.internal, "\(frame.type) among DATA") }
            block += frame.payload
        }
        return try EventBlock.decode(block.span.bytes)
    }

    func text() async throws -> String { String(decoding: try await self.result().data ?? [], as: UTF8.self) }

    /// A span must not be taken of a value that nothing holds: these hold it.
    static func event(_ block: [UInt8]) throws -> ApusCore.Event { try EventBlock.decode(block.span.bytes) }
    static func error(_ payload: [UInt8]) throws -> ErrorPayload { try ErrorPayload(parsing: payload.span.bytes) }
    static func log(_ payload: [UInt8]) throws -> LogPayload { try LogPayload(parsing: payload.span.bytes) }
    static func progress(_ payload: [UInt8]) throws -> ProgressPayload {
        try ProgressPayload(parsing: payload.span.bytes)
    }
    static func emit(_ payload: [UInt8]) throws -> EmitLayout { try EmitLayout(parsing: payload.span.bytes) }
    static func hello(_ payload: [UInt8]) throws -> HelloPayload { try HelloPayload(parsing: payload.span.bytes) }

    func failure() async throws -> ErrorPayload {
        let frame = try await self.next()
        guard frame.type == .error || frame.header.flags.contains(.failed) else {
            throw ApusError(.internal, "\(frame.type) in place of an error")
        }
        return try ErrorPayload(parsing: frame.payload.span.bytes)
    }
}

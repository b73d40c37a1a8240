internal import ApusCore
internal import ApusLoop
internal import Glibc
internal import Synchronization

/// The shortest conversation with a worker: HELLO, INIT, READY and CREDIT, INVOKE, the first byte of RESULT. On the
/// loop.
final class SandboxBenchCall {
    private let worker: LaunchedWorker
    private let start: UInt64
    private let done: (SandboxBenchSite.ColdStart?) -> Void
    private var watch: DescriptorWatch?
    private var bytes: [UInt8] = []
    private var times = SandboxBenchSite.ColdStart()

    init(
        _ loop: EventLoop, _ worker: LaunchedWorker, start: UInt64,
        _ done: @escaping (SandboxBenchSite.ColdStart?) -> Void
    ) {
        self.worker = worker
        self.start = start
        self.done = done
        // The watch holds the call until it is closed.
        self.watch = DescriptorWatch(loop, descriptor: worker.fromWorker) { _ in self.readFrames() }
    }

    func begin() { self.watch?.watch(.readable) }

    private var elapsed: Double { Double(nanoseconds() - self.start) / 1_000 }

    private func readFrames() {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = read(self.worker.fromWorker, &buffer, buffer.count)
        if count < 0, errno == EAGAIN || errno == EINTR { return }
        guard count > 0 else { return self.end(nil) }
        self.bytes.append(contentsOf: buffer[..<count])
        while self.watch != nil, self.bytes.count >= FrameHeader.byteCount {
            guard let header = try? FrameHeader(parsing: self.bytes.span.bytes) else { return self.end(nil) }
            // The first byte of a result is enough.
            if header.type == .result {
                self.times.result = self.elapsed
                return self.end(self.times)
            }
            guard self.bytes.count >= FrameHeader.byteCount + header.length else { return }
            self.bytes.removeFirst(FrameHeader.byteCount + header.length)
            self.answer(header.type)
        }
    }

    private func answer(_ type: FrameType) {
        switch type {
        case .hello:
            self.times.hello = self.elapsed
            self.send(.initialize, stream: 0, Self.initialization)
        case .credit:
            self.send(.invoke, stream: 1, Self.invocation)
        case .ready, .log: break
        default: self.end(nil)
        }
    }

    /// The payload of INIT.
    static let initialization = Array(
        (#"{"function":"bench","namespace":"default","revision":"0","handler":"main:echo","concurrency":1,"#
            + #""batch":null,"timeoutMicroseconds":30000000,"triggers":[],"emits":[],"path":"/function","#
            + #""layer":null,"weights":null}"#).utf8)

    /// The payload of INVOKE: an event with a few bytes of JSON.
    static let invocation: [UInt8] = {
        let head = InvokeHead(
            attempt: 1, trigger: InvokeHead.direct, partition: 0, offset: -1, invocation: InvocationID(high: 1, low: 1))
        var payload = [UInt8](repeating: 0, count: InvokeHead.byteCount)
        payload.withUnsafeMutableBytes { if let base = $0.baseAddress { head.write(to: base) } }
        let event = Event(
            attributes: [Attribute("datacontenttype", "application/json")], data: Array(#"{"x":1}"#.utf8))
        EventBlock.append(event, to: &payload)
        return payload
    }()

    static func frame(_ type: FrameType, stream: UInt64, _ payload: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        let deadline = type == .invoke ? Timestamp(microseconds: .max) : .zero
        FrameHeader(type, stream: stream, deadline: deadline, length: payload.count).append(to: &bytes)
        return bytes + payload
    }

    private func send(_ type: FrameType, stream: UInt64, _ payload: [UInt8]) {
        let bytes = Self.frame(type, stream: stream, payload)
        if write(self.worker.toWorker, bytes, bytes.count) != bytes.count { self.end(nil) }
    }

    private func end(_ times: SandboxBenchSite.ColdStart?) {
        guard let watch = self.watch else { return }
        self.watch = nil
        if times == nil {
            var buffer = [UInt8](repeating: 0, count: 4_096)
            let count = read(self.worker.stderr, &buffer, buffer.count)
            if count > 0 { _ = write(STDERR_FILENO, buffer, count) }
        }
        watch.close()
        let worker = self.worker
        for descriptor in [worker.toWorker, worker.fromWorker, worker.descriptors, worker.stdout, worker.stderr] {
            close(descriptor)
        }
        self.done(times)
    }
}

/// One answer from the loop to the thread that waits for it.
final class SandboxBenchAnswer<Value: Sendable>: Sendable {
    private let value = Mutex<Result<Value, any Error>?>(nil)
    // SAFETY: a semaphore is made to be used from several threads; it is freed by its owner, who waited for it.
    nonisolated(unsafe) private let isFilled = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init() { sem_init(self.isFilled, 0, 0) }

    deinit {
        sem_destroy(self.isFilled)
        self.isFilled.deallocate()
    }

    func fill(_ result: Result<Value, any Error>) {
        self.value.withLock { $0 = result }
        sem_post(self.isFilled)
    }

    func take() throws -> Value {
        while sem_wait(self.isFilled) != 0 {}
        guard let result = self.value.withLock({ $0 }) else { throw BenchFailure("the loop gave no answer") }
        return try result.get()
    }
}

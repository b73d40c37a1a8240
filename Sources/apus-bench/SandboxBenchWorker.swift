internal import ApusCore
internal import ApusLoop
internal import Glibc

/// A worker that is made ready first and invoked later, as workers of a pool are. On the loop.
final class SandboxBenchWorker {
    let worker: LaunchedWorker
    private let ready: (Bool) -> Void
    private var watch: DescriptorWatch?
    private var bytes: [UInt8] = []
    private var isReady = false
    private var stream: UInt64 = 0
    private var start: UInt64 = 0
    private var answered: ((Double?) -> Void)?

    init(_ loop: EventLoop, _ worker: LaunchedWorker, ready: @escaping (Bool) -> Void) {
        self.worker = worker
        self.ready = ready
        // The watch holds the worker until it is closed.
        self.watch = DescriptorWatch(loop, descriptor: worker.fromWorker) { _ in self.readFrames() }
        self.watch?.watch(.readable)
    }

    /// Microseconds from here to the whole result, nil when the worker ended.
    func invoke(_ answered: @escaping (Double?) -> Void) {
        self.start = nanoseconds()
        self.answered = answered
        self.stream += 1
        self.send(.invoke, stream: self.stream, SandboxBenchCall.invocation)
    }

    func close() {
        guard let watch = self.watch else { return }
        self.watch = nil
        watch.close()
        for descriptor in [
            self.worker.toWorker, self.worker.fromWorker, self.worker.descriptors, self.worker.stdout,
            self.worker.stderr,
        ] { Glibc.close(descriptor) }
    }

    private func readFrames() {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = read(self.worker.fromWorker, &buffer, buffer.count)
        if count < 0, errno == EAGAIN || errno == EINTR { return }
        guard count > 0 else { return self.ended() }
        self.bytes.append(contentsOf: buffer[..<count])
        while self.watch != nil, self.bytes.count >= FrameHeader.byteCount {
            guard let header = try? FrameHeader(parsing: self.bytes.span.bytes) else { return self.ended() }
            guard self.bytes.count >= FrameHeader.byteCount + header.length else { return }
            self.bytes.removeFirst(FrameHeader.byteCount + header.length)
            self.take(header.type)
        }
    }

    private func take(_ type: FrameType) {
        switch type {
        case .hello: self.send(.initialize, stream: 0, SandboxBenchCall.initialization)
        case .credit:
            self.isReady = true
            self.ready(true)
        case .ready, .log: break
        case .result:
            let answered = self.answered
            self.answered = nil
            answered?(Double(nanoseconds() - self.start) / 1_000)
        default: self.ended()
        }
    }

    private func ended() {
        self.watch?.watch([])
        if !self.isReady { return self.ready(false) }
        let answered = self.answered
        self.answered = nil
        answered?(nil)
    }

    private func send(_ type: FrameType, stream: UInt64, _ payload: [UInt8]) {
        let bytes = SandboxBenchCall.frame(type, stream: stream, payload)
        if write(self.worker.toWorker, bytes, bytes.count) != bytes.count { self.ended() }
    }
}

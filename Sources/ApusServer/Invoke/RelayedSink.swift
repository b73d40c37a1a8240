internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusLoop

/// Carries the answer of an invocation from the shard that ran it to the loop of the caller. Bytes are copied on the way.
final class RelayedSink: ResponseSink {
    private let loop: EventLoop
    // SAFETY: used on `loop` only, inside `post`.
    nonisolated(unsafe) private let target: any ResponseSink

    let takesParts: PartRule?

    /// On `loop`.
    init(to target: any ResponseSink, on loop: EventLoop) {
        self.target = target
        self.takesParts = target.takesParts
        self.loop = loop
    }

    func onResult(_ block: UnsafeRawBufferPointer) { self.relay(block) { $0.onResult($1) } }
    func onStart(_ block: UnsafeRawBufferPointer) { self.relay(block) { $0.onStart($1) } }
    func onPart(_ bytes: UnsafeRawBufferPointer) { self.relay(bytes) { $0.onPart($1) } }

    func onLarge(_ head: UnsafeRawBufferPointer, bytes: Int, _ flow: PartFlow) {
        self.relay(head) { $0.onLarge($1, bytes: bytes, flow) }
    }

    func onFlow(_ flow: PartFlow) { self.post { $0.onFlow(flow) } }
    func onWaiting(_ span: TimeSpan) { self.post { $0.onWaiting(span) } }
    func onQuestions(_ questions: UnsafeRawBufferPointer) { self.relay(questions) { $0.onQuestions($1) } }
    func onCall(_ call: FunctionCall) { self.post { $0.onCall(call) } }
    func onProgress(_ progress: ProgressPayload) { self.post { $0.onProgress(progress) } }
    func onLog(_ level: LogPayload.Level, _ text: String) { self.post { $0.onLog(level, text) } }
    func onTiming(_ timing: AttemptTiming) { self.post { $0.onTiming(timing) } }
    func onEnd() { self.post { $0.onEnd() } }
    func onFailure(_ failure: Failure) { self.post { $0.onFailure(failure) } }

    private func relay(
        _ bytes: UnsafeRawBufferPointer, _ tell: @escaping @Sendable (any ResponseSink, UnsafeRawBufferPointer) -> Void
    ) {
        let copy = Array(bytes)
        self.post { target in copy.withUnsafeBytes { tell(target, $0) } }
    }

    private func post(_ tell: @escaping @Sendable (any ResponseSink) -> Void) {
        // SAFETY: used on `loop` only, inside `post`.
        nonisolated(unsafe) let target = self.target
        self.loop.post { tell(target) }
    }
}

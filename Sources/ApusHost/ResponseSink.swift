public import ApusCore
public import ApusEngine

/// Asked from any thread, with an ``EventBlock`` of its attributes and no data, and how many bytes the worker says it will be.
public typealias PartRule = @Sendable (_ head: UnsafeRawBufferPointer, _ bytes: Int) -> Bool

/// Takes the answer to a direct invocation. Called on the shard's loop; bytes are lent for the call.
///
/// Either ``onResult(_:)`` or ``onQuestions(_:)`` once, or ``onStart(_:)``, ``onPart(_:)`` any number of times and ``onEnd()``;
/// ``onFailure(_:)`` instead of the rest at any moment. Nothing follows the end.
public protocol ResponseSink: AnyObject {
    /// The whole result, an ``EventBlock``.
    func onResult(_ block: UnsafeRawBufferPointer)
    /// A streamed result begins: an ``EventBlock`` with its attributes and no data.
    func onStart(_ block: UnsafeRawBufferPointer)
    func onPart(_ bytes: UnsafeRawBufferPointer)
    func onEnd()
    /// Which results that have more data than their first frame are taken as they come; nil for none. Such a one may have up to
    /// ``Limits/largeResultBytes``.
    var takesParts: PartRule? { get }
    /// One that ``takesParts`` takes begins: instead of ``onStart(_:)``. It is whole only with ``onEnd()``.
    /// - Parameters:
    ///   - head: an ``EventBlock`` with its attributes and no data.
    ///   - bytes: how many the worker says it will be.
    ///   - flow: is told of each part that was taken, and of the end where the rest is not.
    func onLarge(_ head: UnsafeRawBufferPointer, bytes: Int, _ flow: PartFlow)
    /// Before ``onStart(_:)`` where ``takesParts`` is not nil: the parts may be ``Limits/largeResultBytes`` together, and each is told to the flow
    /// once it was taken.
    func onFlow(_ flow: PartFlow)
    func onFailure(_ failure: Failure)
    /// Where the time went, before the result, the start of a streamed one, or the failure of an attempt.
    func onTiming(_ timing: AttemptTiming)
    /// It waits for a worker that starts: about so long. Before anything else.
    func onWaiting(_ span: TimeSpan)
    /// How far the handler says it is.
    func onProgress(_ progress: ProgressPayload)
    /// What the handler wrote to its log, by itself.
    func onLog(_ level: LogPayload.Level, _ text: String)
    /// Instead of a result: what it asks of its caller, JSON. Nothing follows: it is invoked again with the answers.
    func onQuestions(_ questions: UnsafeRawBufferPointer)
    /// It calls a tool, with the rights of whoever waits here, and is answered by the call itself.
    func onCall(_ call: FunctionCall)
}

extension ResponseSink {
    public var takesParts: PartRule? { nil }
    public func onFlow(_ flow: PartFlow) { flow.end() }
    public func onLarge(_ head: UnsafeRawBufferPointer, bytes: Int, _ flow: PartFlow) { flow.end() }
    public func onTiming(_ timing: AttemptTiming) {}
    public func onWaiting(_ span: TimeSpan) {}
    public func onProgress(_ progress: ProgressPayload) {}
    public func onLog(_ level: LogPayload.Level, _ text: String) {}
    /// Who has no rights to lend is told so.
    public func onCall(_ call: FunctionCall) { call.answer(.failure(Shard.noCaller)) }
    /// Who cannot be asked is told so.
    public func onQuestions(_ questions: UnsafeRawBufferPointer) {
        self.onFailure(
            Failure(
                .notYetSupported,
                "the function asks its caller something, and this caller cannot be asked: call it as a tool, over MCP"))
    }
}

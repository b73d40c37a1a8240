import ApusCore
import ApusEngine
import ApusHost
import ApusLoop
import ApusTestSupport
import Testing

/// Calls of tools by functions, between a worker's frames and whoever waits for it.
@Suite struct FunctionCallTests {
    /// Invokes with an answer for its calls.
    private func invoke(
        _ bed: Bed, _ data: String = "bad", _ onCall: @escaping @Sendable (FunctionCall) -> Void
    ) async -> Answer {
        let block = EventBlock.encode(Event(attributes: [Attribute("id", "call")], data: Array(data.utf8)))
        return await withCheckedContinuation { continuation in
            bed.loop.post {
                let sink = CallingSink(AnswerSink { continuation.resume(returning: $0) }, onCall)
                _ = bed.shard.invoke(
                    FunctionID(rawValue: 1), block: block, invocation: InvocationID(high: 1, low: 2), deadline: nil,
                    sink: sink)
            }
        }
    }

    @Test func theSinkAnswersTheCall() async throws {
        let bed = try await Bed()
        try await bed.deploy(function(1, ["call"]))
        let answer = await self.invoke(bed) { call in
            #expect(call.number == 1 && call.json == Array(#"{"name":"other","arguments":{}}"#.utf8))
            call.answer(.result(Array(#"{"content":[]}"#.utf8)))
            call.answer(.result(Array("a second answer goes nowhere".utf8)))
        }
        #expect(answer.text == "\u{1}\0\0\0{\"content\":[]}")
        await bed.close()
    }

    @Test func aRefusalIsAnErrorBehindTheNumber() async throws {
        let bed = try await Bed()
        try await bed.deploy(function(1, ["call"]))
        let answer = await self.invoke(bed) { $0.answer(.failure(Failure(.limitReached, "enough"))) }
        guard case .result(let event) = answer, let data = event.data else {
            return #expect(Bool(false), "\(answer)")
        }
        let error = try ErrorPayload(parsing: data.span.bytes.extracting(4...))
        #expect(error.code == "limit_reached" && error.message == "enough" && error.kind == .permanent)
        await bed.close()
    }

    @Test func aLargeResultComesInFrames() async throws {
        let bed = try await Bed()
        try await bed.deploy(function(1, ["call"]))
        // The worker answers with the last frame of it.
        let answer = await self.invoke(bed) { $0.answer(.result(Array(repeating: 0x20, count: 600_000))) }
        let part = FrameHeader.payloadBytesMax - CallLayout.headBytes
        #expect(answer.text?.utf8.count == CallLayout.headBytes + 600_000 - 2 * part)
        #expect(await bed.invoke(1, "fine").text == "fine")
        await bed.close()
    }

    @Test func whoeverHasNoRightsToLendIsTold() async throws {
        let bed = try await Bed()
        try await bed.deploy(function(1, ["call"]))
        #expect(await bed.invoke(1, "bad").text?.contains("not_yet_supported") == true)
        let (input, output) = (try bed.topic("in"), try bed.topic("out"))
        try await bed.deploy(function(2, ["call"], triggers: [trigger(1, on: input, replyTo: output)]))
        try await bed.publish(input, [event("bad")])
        try await bed.until("a reply") { bed.events(of: output).count == 1 }
        #expect(bed.events(of: output)[0].text.contains("not_yet_supported"))
        await bed.close()
    }

    @Test(arguments: ["call-stranger", "call-nowhere", "call-again", "call-short", "call-flagged", "call-within"])
    func aCallThatBreaksTheProtocolEndsItsWorkerAndNothingElse(mode: String) async throws {
        let bed = try await Bed()
        try await bed.deploy(function(1, [mode]))
        try await bed.deploy(function(2))
        let answer = await self.invoke(bed) { _ in }
        #expect(answer.code == .protocolError, "\(mode): \(answer)")
        #expect(await bed.invoke(2, "hello").text == "hello")
        #expect(await bed.invoke(1, "fine").text == "fine")
        await bed.close()
    }

    @Test func aCallAfterTheEndOfItsAttemptEndsTheWorker() async throws {
        let bed = try await Bed()
        try await bed.deploy(function(1, ["call-late"]))
        let answer = await self.invoke(bed) { _ in Issue.record("a call after the end reaches nobody") }
        #expect(answer.text == "")
        try await bed.until("the worker is gone") { bed.shard.statistics.workersExited == 1 }
        #expect(await bed.invoke(1, "fine").text == "fine")
        await bed.close()
    }

    @Test func anAnswerAfterTheCallerLeftGoesNowhere() async throws {
        var engine = EngineConfiguration()
        engine.cancelGrace = .milliseconds(50)
        let bed = try await Bed(engine: engine)
        try await bed.deploy(function(1, ["call"]))
        let block = EventBlock.encode(event("bad"))
        await bed.run {
            let shard = bed.shard
            let held = LoopRequest()
            let sink = CallingSink(AnswerSink { _ in Issue.record("an abandoned caller hears nothing") }) { call in
                bed.loop.post {
                    if let request = held.request { bed.shard.abandon(request) }
                    call.answer(.result(Array("{}".utf8)))
                }
            }
            held.request = shard?.invoke(
                FunctionID(rawValue: 1), block: block, invocation: InvocationID(high: 0, low: 0), deadline: nil,
                sink: sink)
        }
        #expect(await bed.invoke(1, "fine").text == "fine")
        await bed.close()
    }
}

/// Set and read on the loop only.
private final class LoopRequest: @unchecked Sendable {
    // SAFETY: used on the loop's thread only.
    var request: RequestID?
}

private final class CallingSink: ResponseSink {
    private let sink: AnswerSink
    private let call: @Sendable (FunctionCall) -> Void

    init(_ sink: AnswerSink, _ call: @escaping @Sendable (FunctionCall) -> Void) {
        self.sink = sink
        self.call = call
    }

    func onResult(_ block: UnsafeRawBufferPointer) { self.sink.onResult(block) }
    func onStart(_ block: UnsafeRawBufferPointer) { self.sink.onStart(block) }
    func onPart(_ bytes: UnsafeRawBufferPointer) { self.sink.onPart(bytes) }
    func onEnd() { self.sink.onEnd() }
    func onFailure(_ failure: Failure) { self.sink.onFailure(failure) }
    func onCall(_ call: FunctionCall) { self.call(call) }
}

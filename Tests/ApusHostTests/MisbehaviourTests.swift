import ApusCore
import ApusEngine
import ApusHost
import ApusLoop
import ApusTestSupport
import Testing

/// A worker that goes wrong costs its own attempt; its neighbour goes on, and the same function's next event runs.
@Suite struct MisbehaviourTests {
    /// Deploys a function in a bad mode beside a good one, sends each events, and gives what became of the bad one.
    private func run(
        _ mode: String, timeout: TimeSpan = .seconds(20), grace: TimeSpan = .seconds(20),
        _ check: (Bed, Failure) async throws -> Void
    ) async throws {
        var engine = EngineConfiguration()
        engine.cancelGrace = grace
        let bed = try await Bed(engine: engine)
        let (bad, good, output, dead) = (
            try bed.topic("bad"), try bed.topic("good"), try bed.topic("out"), try bed.topic("dead")
        )
        let once = RetryPlan(attempts: 1, initial: .milliseconds(1), max: .milliseconds(1))
        try await bed.deploy(
            function(
                1, [mode], timeout: timeout,
                triggers: [trigger(1, on: bad, replyTo: output, deadLetter: dead, retry: once)]))
        try await bed.deploy(function(2, triggers: [trigger(2, on: good, replyTo: output)]))
        try await bed.publish(bad, [event("fine 1", key: "a"), event("bad", key: "b"), event("fine 2", key: "b")])
        try await bed.publish(good, (0..<50).map { event("neighbour \($0)") })
        try await bed.until("the neighbour's 50 replies") {
            bed.events(of: output).filter { $0.text.hasPrefix("neighbour") }.count == 50
        }
        try await bed.until("a dead letter") { !bed.events(of: dead).isEmpty }
        let letters = bed.events(of: dead)
        #expect(letters.map(\.text) == ["bad"])
        let letter = letters[0]
        #expect(letter.key == Array("b".utf8))
        let code = try #require(ErrorCode(rawValue: letter.header("apus-dead-code") ?? ""))
        try await check(bed, Failure(code, letter.header("apus-dead-message") ?? ""))
        try await bed.until("the fine events' replies") {
            Set(bed.events(of: output).map(\.text).filter { $0.hasPrefix("fine") }) == ["fine 1", "fine 2"]
        }
        try await bed.publish(good, [event("neighbour last")])
        try await bed.until("the neighbour still runs") {
            bed.events(of: output).contains { $0.text == "neighbour last" }
        }
        await bed.close()
    }

    /// Behaviour 48.
    @Test func aCrashFailsTheAttemptWithTheSignal() async throws {
        try await self.run("crash") { _, failure in
            #expect(failure.code == .workerCrashed)
            #expect(failure.message.contains("signal 11"))
        }
    }

    @Test func aCrashInTheMiddleOfAFrameIsACrash() async throws {
        try await self.run("half") { _, failure in
            #expect(failure.code == .workerCrashed)
            #expect(failure.message.contains("signal 9"))
        }
    }

    @Test func garbageIsAProtocolError() async throws {
        try await self.run("garbage") { bed, failure in
            #expect(failure.code == .protocolError)
            #expect(await bed.statistics().protocolErrors == 1)
        }
    }

    @Test func aResultOfAnUnknownStreamIsAProtocolError() async throws {
        try await self.run("stranger") { _, failure in #expect(failure.code == .protocolError) }
    }

    @Test func dataBeyondWhatWasAnnouncedIsAProtocolError() async throws {
        try await self.run("liar") { _, failure in #expect(failure.code == .protocolError) }
    }

    @Test func aResultOverTheLimitFailsAndItsWorkerLives() async throws {
        try await self.run("oversize") { bed, failure in
            #expect(failure.code == .resultTooLarge)
            #expect(await bed.statistics().workersExited == 0)
        }
    }

    @Test func aStreamWithoutAnEndIsCancelledAtTheLimitAndItsWorkerLives() async throws {
        try await self.run("endless") { bed, failure in
            #expect(failure.code == .resultTooLarge)
            #expect(await bed.statistics().workersExited == 0)
        }
    }

    /// Behaviour 47.
    @Test func aHandlerThatIgnoresItsDeadlineAndCancelIsKilled() async throws {
        try await self.run("hang", timeout: .seconds(3), grace: .milliseconds(100)) { bed, failure in
            #expect(failure.code == .deadlineExceeded)
            #expect(await bed.statistics().workersExited == 1)
        }
    }

    @Test func aFrameThatNeverEndsDoesNotOutliveTheDeadline() async throws {
        try await self.run("drip", timeout: .seconds(3), grace: .milliseconds(100)) { _, failure in
            #expect(failure.code == .deadlineExceeded)
        }
    }

    @Test func emittingToATopicThatIsNotAllowedFailsTheAttempt() async throws {
        try await self.run("emit") { _, failure in
            #expect(failure.code == .emitRefused)
            #expect(failure.message.contains("'alerts'"))
        }
    }

    @Test func askingAPersonIsNotYetSupported() async throws {
        try await self.run("ask") { _, failure in #expect(failure.code == .notYetSupported) }
    }
}

/// Starts that go wrong, seen by callers.
@Suite struct StartTests {
    private func invoke(_ mode: String, startTimeout: TimeSpan = .seconds(20)) async throws -> Failure? {
        var engine = EngineConfiguration()
        engine.startTimeout = startTimeout
        engine.startBackoff = .milliseconds(1)
        let bed = try await Bed(engine: engine)
        try await bed.deploy(function(1, [mode]))
        try await bed.deploy(function(2))
        let answer = await bed.invoke(1, "hello")
        #expect(await bed.invoke(2, "hello").text == "hello")
        await bed.close()
        guard case .failure(let failure) = answer else { return nil }
        return failure
    }

    @Test func aWorkerThatNeverSpeaksIsKilledInTime() async throws {
        #expect(try await self.invoke("mute", startTimeout: .milliseconds(200))?.code == .startFailed)
    }

    @Test func aWorkerThatBeginsWithNoiseIsAProtocolError() async throws {
        #expect(try await self.invoke("noise")?.code == .protocolError)
    }

    @Test func aWorkerThatLeavesBeforeItIsReadySaysWhatItLastWrote() async throws {
        let failure = try await self.invoke("leave")
        #expect(failure?.code == .startFailed)
        #expect(failure?.message.contains("cannot find my way") == true)
        #expect(failure?.message.contains("code 3") == true)
    }

    /// Behaviour 67.
    @Test func aHandlerThatCannotBeLoadedFailsTheStartWithItsMessage() async throws {
        let failure = try await self.invoke("refuse")
        #expect(failure?.code == .startFailed)
        #expect(failure?.message == "no handler of that name")
    }

    @Test func aWorkerOfAnotherVersionFailsItsStartAndSaysWhich() async throws {
        let failure = try await self.invoke("future")
        #expect(failure?.code == .startFailed)
        #expect(failure?.message.contains("version 9") == true)
    }

    @Test func moreCreditThanTheConcurrencyIsAProtocolError() async throws {
        #expect(try await self.invoke("greedy")?.code == .protocolError)
    }

    @Test func aProgramThatDoesNotExistFailsTheStart() async throws {
        let bed = try await Bed()
        let launcher = await bed.run { Carried(DirectLauncher(loop: bed.loop) { _ in ("/nowhere/worker", []) }) }
        let exit = await withCheckedContinuation { continuation in
            bed.loop.post {
                launcher.value.onExit = { continuation.resume(returning: $1) }
                launcher.value.launch(LaunchOrder(runtime: .native, bundle: "")) { _ in }
            }
        }
        #expect(exit.code == 127)
        await bed.close()
    }
}

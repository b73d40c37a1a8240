import ApusCore
import ApusEngine
import ApusHost
import ApusTestSupport
import Testing

@Suite struct RequestTests {
    @Test func aCallerGetsTheResult() async throws {
        let bed = try await Bed()
        try await bed.deploy(function(1))
        #expect(await bed.invoke(1, "hello").text == "hello")
        #expect(await bed.invoke(1, "again").text == "again")
        #expect(await bed.statistics().workersStarted == 1)
        await bed.close()
    }

    @Test func aFunctionThatIsNotDeployedIsSaidToBe() async throws {
        let bed = try await Bed()
        #expect(await bed.invoke(9, "hello").code == .functionNotFound)
        await bed.close()
    }

    @Test func failuresAndRejectionsReachTheCaller() async throws {
        let bed = try await Bed()
        try await bed.deploy(function(1, ["fail"]))
        try await bed.deploy(function(2, ["reject"]))
        #expect(await bed.invoke(1, "hello") == .failure(Failure(.functionFailed, "it fails by design")))
        #expect(await bed.invoke(2, "hello") == .failure(Failure(.functionRejected, "it rejects by design")))
        await bed.close()
    }

    @Test func partsOfAStreamComeOneByOne() async throws {
        let bed = try await Bed()
        try await bed.deploy(function(1, ["parts"]))
        #expect(await bed.invoke(1, "bad") == .parts(["one ", "two ", "three"]))
        #expect(await bed.invoke(1, "fine").text == "fine")
        await bed.close()
    }

    @Test func partsOfAStreamMakeOneReplyOfADelivery() async throws {
        let bed = try await Bed()
        let (input, output) = (try bed.topic("in"), try bed.topic("out"))
        try await bed.deploy(function(1, ["parts"], triggers: [trigger(1, on: input, replyTo: output)]))
        try await bed.publish(input, [event("bad")])
        try await bed.until("a reply") { bed.events(of: output).count == 1 }
        #expect(bed.events(of: output)[0].text == "one two three")
        await bed.close()
    }

    @Test func whatACallEmitsIsDurableBeforeItsAnswer() async throws {
        let bed = try await Bed()
        let alerts = try bed.topic("alerts")
        try await bed.deploy(function(1, ["emit"], emits: ["alerts": alerts]))
        #expect(await bed.invoke(1, "bad").text == "bad")
        let emitted = bed.events(of: alerts)
        #expect(emitted.map(\.text) == ["first", "second"])
        #expect(Set(emitted.map { $0["id"] }).count == 2)
        #expect(emitted[0]["source"] == "/apus/default/function-1")
        await bed.close()
    }

    @Test func nothingIsEmittedByAnAttemptThatIsRefused() async throws {
        let bed = try await Bed()
        let alerts = try bed.topic("alerts")
        try await bed.deploy(function(1, ["emit-elsewhere"], emits: ["alerts": alerts]))
        #expect(await bed.invoke(1, "bad").code == .emitRefused)
        #expect(bed.events(of: alerts).isEmpty)
        await bed.close()
    }

    @Test func oneAttemptEmitsABoundedNumberOfEventsAndOfBytes() async throws {
        let bed = try await Bed()
        let alerts = try bed.topic("alerts")
        try await bed.deploy(function(1, ["emit-much"], emits: ["alerts": alerts]))
        let (events, block) = (Limits.Host.emitsPerAttempt, Limits.frameBytes / 2)
        let blocks = Limits.Host.emitBytesPerAttempt / block
        #expect(await bed.invoke(1, "bad \(events + 1) 100").code == .emitRefused)
        #expect(await bed.invoke(1, "bad \(blocks + 1) \(block)").code == .emitRefused)
        #expect(await bed.invoke(1, "bad \(blocks) \(block) ").text == "bad \(blocks) \(block) ", "at the bound it may")
        #expect(bed.events(of: alerts).count == blocks)
        #expect(await bed.invoke(1, "bad \(events) 100").text == "bad \(events) 100")
        #expect(bed.events(of: alerts).count == blocks + events)
        #expect(await bed.invoke(1, "fine").text == "fine")
        await bed.close()
    }

    @Test func aDeadlineOfTheCallerEndsAHandlerThatHangs() async throws {
        var engine = EngineConfiguration()
        engine.cancelGrace = .milliseconds(50)
        let bed = try await Bed(engine: engine)
        try await bed.deploy(function(1, ["hang"]))
        #expect(await bed.invoke(1, "bad", deadline: .milliseconds(100)).code == .deadlineExceeded)
        #expect(await bed.invoke(1, "fine").text == "fine")
        await bed.close()
    }

    /// Behaviour 67.
    @Test func largeEventsGoAsSealedMemoryAndLargeResultsInParts() async throws {
        // The worker checks the seals, that its memory cannot be mapped for writing, and its size.
        let bed = try await Bed()
        try await bed.deploy(function(1, concurrency: 4))
        for size in [64 * 1024, 64 * 1024 + 1, 300_000, 1_000_000] {
            let data = String(repeating: "x", count: size)
            #expect(await bed.invoke(1, data).text == data)
        }
        await bed.close()
    }

    @Test func aWorkerThatTakesNoDescriptorsGetsLargeEventsInParts() async throws {
        let bed = try await Bed()
        try await bed.deploy(function(1, ["chunks"]))
        for size in [64 * 1024 + 1, Limits.frameBytes, 300_000, 1_000_000] {
            let data = String(repeating: "y", count: size)
            #expect(await bed.invoke(1, data).text == data)
        }
        await bed.close()
    }

    @Test func anAbandonedCallIsForgottenAndTheFunctionGoesOn() async throws {
        let bed = try await Bed()
        try await bed.deploy(function(1, ["slow", "30"]))
        await bed.run {
            let sink = AnswerSink { _ in Issue.record("an abandoned caller hears nothing") }
            let block = EventBlock.encode(event("left"))
            let request = bed.shard.invoke(
                FunctionID(rawValue: 1), block: block, invocation: InvocationID(high: 0, low: 0), deadline: nil,
                sink: sink)
            bed.shard.abandon(request)
            bed.shard.abandon(request)
        }
        #expect(await bed.invoke(1, "stayed").text == "stayed")
        await bed.close()
    }

    @Test func instancesShowWorkersAndTheirStates() async throws {
        let bed = try await Bed()
        try await bed.deploy(function(1))
        _ = await bed.invoke(1, "hello")
        let instances = await bed.run { bed.shard.instances() }
        #expect(instances.count == 1)
        #expect(instances.first?.state == .ready)
        #expect(instances.first?.runtime == "echo-native")
        #expect(instances.first?.function.name == "function-1")
        #expect(await bed.invoke(1, "hello").text == "hello")
        await bed.close()
    }
}

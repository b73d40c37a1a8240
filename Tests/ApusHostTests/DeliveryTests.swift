import ApusCore
import ApusEngine
import ApusHost
import ApusTestSupport
import Testing

@Suite struct DeliveryTests {
    @Test func eventsReachAWorkerAndTheirRepliesTheReplyTopic() async throws {
        let bed = try await Bed()
        let (input, output) = (try bed.topic("in"), try bed.topic("out"))
        try await bed.deploy(function(1, triggers: [trigger(1, on: input, replyTo: output)]))
        try await bed.publish(
            input,
            (0..<100).map { event("event \($0)", key: "key \($0 % 7)", [Attribute("traceparent", "00-ab-cd-01")]) })
        try await bed.until("100 replies") { bed.events(of: output).count == 100 }
        let replies = bed.events(of: output)
        #expect(Set(replies.map(\.text)) == Set((0..<100).map { "event \($0)" }))
        for reply in replies {
            let id = try #require(reply["id"])
            let offset = try #require(Int(id.split(separator: ":").last ?? ""))
            #expect(id == "function-1:in:0:\(offset)")
            #expect(reply.text == "event \(offset)")
            #expect(reply.key == Array("key \(offset % 7)".utf8))
            #expect(reply["source"] == "/apus/default/function-1")
            #expect(reply["type"] == "dev.apus.result")
            #expect(reply["datacontenttype"] == "application/octet-stream")
            #expect(reply["traceparent"] == "00-ab-cd-01")
            #expect(reply.header("apus-hops") == "1")
        }
        let statistics = await bed.statistics()
        #expect(statistics.succeeded == 100)
        #expect(statistics.replies == 100)
        #expect(await bed.run { bed.shard.activity() }.first?.counts.running.count == 100)
        await bed.close()
    }
}

extension DeliveryTests {
    /// Behaviour 16.
    @Test func eventsOfOneKeyRunInTheirOrder() async throws {
        let bed = try await Bed()
        let (input, output) = (try bed.topic("in"), try bed.topic("out"))
        try await bed.deploy(
            function(1, concurrency: 4, scale: ScalePlan(max: 3), triggers: [trigger(1, on: input, replyTo: output)]))
        try await bed.publish(input, (0..<600).map { event("\($0)", key: "key \($0 % 5)") })
        try await bed.until("600 replies") { bed.events(of: output).count == 600 }
        for key in 0..<5 {
            let numbers = bed.events(of: output).filter { $0.key == Array("key \(key)".utf8) }.compactMap {
                Int($0.text)
            }
            #expect(numbers == numbers.sorted())
            #expect(numbers.count == 120)
        }
        await bed.close()
    }

    /// Behaviour 35.
    @Test func aDeliveryThatKeepsFailingIsTriedAsOftenAsItMayThenBecomesADeadLetter() async throws {
        let bed = try await Bed()
        let (input, dead) = (try bed.topic("in"), try bed.topic("dead"))
        try await bed.deploy(function(1, ["fail"], triggers: [trigger(1, on: input, deadLetter: dead)]))
        let sent = event(
            "payload", key: "k",
            [Attribute("id", "7"), Attribute("color", "green"), Attribute("trace", "x", kind: .header)])
        try await bed.publish(input, [sent])
        try await bed.until("a dead letter") { bed.events(of: dead).count == 1 }
        let letter = bed.events(of: dead)[0]
        #expect(letter.text == "payload")
        #expect(letter.key == sent.key)
        #expect(letter["id"] == "7")
        #expect(letter["color"] == "green")
        #expect(letter.header("trace") == "x")
        #expect(letter.header("apus-dead-topic") == "in")
        #expect(letter.header("apus-dead-partition") == "0")
        #expect(letter.header("apus-dead-offset") == "0")
        #expect(letter.header("apus-dead-attempts") == "3")
        #expect(letter.header("apus-dead-code") == "function_failed")
        #expect(letter.header("apus-dead-message") == "it fails by design")
        #expect(letter.header("apus-dead-function") == "default/function-1")
        #expect(letter.header("apus-dead-trigger") == "trigger-1")
        #expect(letter.header("apus-dead-revision") == "revision-1")
        let statistics = await bed.statistics()
        #expect(statistics.failed == 3)
        #expect(statistics.retried == 2)
        #expect(statistics.deadLettered == 1)
        await bed.close()
    }

    /// Behaviour 34.
    @Test func aRejectedEventIsNotTriedAgain() async throws {
        let bed = try await Bed()
        let (input, dead) = (try bed.topic("in"), try bed.topic("dead"))
        try await bed.deploy(function(1, ["reject"], triggers: [trigger(1, on: input, deadLetter: dead)]))
        try await bed.publish(input, [event("payload")])
        try await bed.until("a dead letter") { bed.events(of: dead).count == 1 }
        #expect(bed.events(of: dead)[0].header("apus-dead-attempts") == "1")
        #expect(bed.events(of: dead)[0].header("apus-dead-code") == "function_rejected")
        await bed.close()
    }

    /// Behaviour 58.
    @Test func aFilterLetsOnlyItsEventsThrough() async throws {
        let bed = try await Bed()
        let (input, output) = (try bed.topic("in"), try bed.topic("out"))
        let filter = try #require(SubscriptionFilter([(name: "type", value: "wanted")]))
        try await bed.deploy(function(1, triggers: [trigger(1, on: input, replyTo: output, filter: filter)]))
        try await bed.publish(
            input, (0..<20).map { event("\($0)", key: nil, [Attribute("type", $0 % 2 == 0 ? "wanted" : "other")]) })
        try await bed.until("10 replies") { bed.events(of: output).count == 10 }
        #expect(await bed.statistics().dispatched == 10)
        await bed.close()
    }

    @Test func batchesAreAnsweredItemByItem() async throws {
        let bed = try await Bed()
        let (input, output) = (try bed.topic("in"), try bed.topic("out"))
        try await bed.deploy(
            function(
                1, batch: BatchPlan(maxSize: 16, maxWait: .milliseconds(2)),
                triggers: [trigger(1, on: input, replyTo: output, order: .none)]))
        try await bed.publish(input, (0..<200).map { event("event \($0)") })
        try await bed.publish(input, [event(String(repeating: "z", count: 900_000))])
        try await bed.until("201 replies") { bed.events(of: output).count == 201 }
        let texts = Set(bed.events(of: output).map(\.text))
        #expect(texts.isSuperset(of: (0..<200).map { "event \($0)" }))
        #expect(texts.contains(String(repeating: "z", count: 900_000)))
        #expect(await bed.invoke(1, "one alone").text == "one alone")
        await bed.close()
    }

    @Test func aTableIsFedBeforeOtherWork() async throws {
        let bed = try await Bed()
        let table = try bed.topic("settings", compact: true)
        try await bed.publish(table, (0..<300).map { event("value \($0)", key: "key \($0)") })
        try await bed.deploy(function(1, ["table"], triggers: [trigger(1, on: table, kind: .table)]))
        #expect(await bed.invoke(1, "how many?").text == "300")
        try await bed.publish(table, [event("new", key: "another")])
        try await bed.until("the worker was fed the new record") { bed.shard.statistics.dispatched == 302 }
        #expect(await bed.invoke(1, "how many?").text == "301")
        await bed.close()
    }

    @Test func aRestartGoesOnWhereTheLedgerStands() async throws {
        let first = try await Bed()
        let (input, output) = (try first.topic("in"), try first.topic("out"))
        let deployed = function(1, triggers: [trigger(1, on: input, replyTo: output)])
        try await first.deploy(deployed)
        try await first.publish(input, (0..<50).map { event("\($0)") })
        try await first.until("50 replies") { first.events(of: output).count == 50 }
        await first.close()

        let second = try await Bed(log: first.log)
        try await second.deploy(deployed)
        try await second.publish(input, (50..<60).map { event("\($0)") })
        try await second.until("60 replies") { second.events(of: output).count >= 60 }
        #expect(second.events(of: output).map(\.text).sorted() == (0..<60).map { "\($0)" }.sorted())
        #expect(await second.statistics().dispatched == 10)
        await second.close()
    }

    @Test func attemptsAreRememberedAcrossARestart() async throws {
        let patient = RetryPlan(attempts: 3, initial: .seconds(3_600), max: .seconds(3_600))
        let first = try await Bed()
        let (input, dead) = (try first.topic("in"), try first.topic("dead"))
        try await first.deploy(
            function(1, ["fail"], triggers: [trigger(1, on: input, deadLetter: dead, retry: patient)]))
        try await first.publish(input, [event("payload")])
        try await first.until("a first attempt, in the ledger") {
            first.shard.statistics.retried == 1 && first.shard.statistics.commits > 0
        }
        await first.close()

        // The delivery still waits for its second attempt, an hour from now.
        let second = try await Bed(log: first.log)
        try await second.deploy(
            function(1, ["fail"], triggers: [trigger(1, on: input, deadLetter: dead, retry: patient)]))
        try await second.publish(input, [event("another")])
        try await second.until("the other event's attempt") { second.shard.statistics.retried == 1 }
        #expect(await second.statistics().dispatched == 1)
        await second.close()
    }

    @Test func repliesWaitWhileTheLogIsShortOfRoom() async throws {
        let bed = try await Bed()
        let (input, output) = (try bed.topic("in"), try bed.topic("out"))
        let log = try #require(bed.log as? MemoryLog)
        try await bed.deploy(function(1, triggers: [trigger(1, on: input, replyTo: output)]))
        try await bed.publish(input, [event("before")])
        try await bed.until("a reply") { bed.events(of: output).count == 1 }
        // Records that got in just before the log became short.
        try await bed.publish(input, [event("between")])
        log.setShort(true)
        try await bed.until("the shard has noticed") { bed.shard.isLogShort }
        log.setShort(false)
        try await bed.publish(input, [event("after")])
        try await bed.until("all replies") { bed.events(of: output).count == 3 }
        #expect(Set(bed.events(of: output).map(\.text)) == ["before", "between", "after"])
        await bed.close()
    }

    @Test func aNewRevisionTakesOverWithoutLosingAnEvent() async throws {
        let bed = try await Bed()
        let (input, output) = (try bed.topic("in"), try bed.topic("out"))
        try await bed.deploy(function(1, triggers: [trigger(1, on: input, replyTo: output)]))
        try await bed.publish(input, (0..<200).map { event("\($0)") })
        try await bed.deploy(function(1, generation: 2, triggers: [trigger(1, on: input, replyTo: output)]))
        try await bed.publish(input, (200..<400).map { event("\($0)") })
        try await bed.until("400 replies") { bed.events(of: output).count >= 400 }
        #expect(Set(bed.events(of: output).compactMap { Int($0.text) }) == Set(0..<400))
        #expect(bed.events(of: output).count == 400)
        try await bed.until("only workers of the new revision") {
            bed.shard.instances().allSatisfy { $0.revision == "revision-2" }
        }
        await bed.close()
    }

    @Test func aRemovedFunctionStopsAndItsPositionCanBeForgotten() async throws {
        let bed = try await Bed()
        let (input, output) = (try bed.topic("in"), try bed.topic("out"))
        try await bed.deploy(function(1, triggers: [trigger(1, on: input, replyTo: output)]))
        try await bed.publish(input, [event("one")])
        try await bed.until("a reply") { bed.events(of: output).count == 1 }
        #expect(try bed.log.ledger(prefix: Array("default/function-1/".utf8)).count == 1)
        await bed.run { bed.shard.remove(FunctionID(rawValue: 1), forgettingPositions: true) }
        try await bed.until("no workers, no position") {
            bed.shard.instances().isEmpty
                && ((try? bed.log.ledger(prefix: Array("default/function-1/".utf8)))?.isEmpty ?? false)
        }
        try await bed.publish(input, [event("two")])
        #expect(await bed.invoke(1, "hello").code == .functionNotFound)
        #expect(bed.events(of: output).count == 1)
        await bed.close()
    }

    @Test func anEventThatWentThroughTooManyFunctionsBecomesADeadLetter() async throws {
        let bed = try await Bed()
        let (loop, dead) = (try bed.topic("loop"), try bed.topic("dead"))
        try await bed.deploy(function(1, triggers: [trigger(1, on: loop, replyTo: loop, deadLetter: dead)]))
        try await bed.publish(loop, [event("round", key: "k")])
        try await bed.until("a dead letter") { bed.events(of: dead).count == 1 }
        #expect(bed.events(of: dead)[0].header("apus-dead-code") == "hops_exceeded")
        #expect(bed.events(of: loop).count == Limits.hops + 1)
        await bed.close()
    }

    @Test func addedPartitionsAreDelivered() async throws {
        let bed = try await Bed()
        let (input, output) = (try bed.topic("in"), try bed.topic("out"))
        try await bed.deploy(function(1, triggers: [trigger(1, on: input, replyTo: output)]))
        try bed.log.alterTopic(input, TopicConfiguration(partitions: 3))
        try await bed.publish(input, [event("in the new one")], partition: 2)
        try await bed.until("a reply") { bed.events(of: output).count == 1 }
        await bed.close()
    }

    @Test func printedLinesComeWithTheirInvocationWithinBounds() async throws {
        let bed = try await Bed()
        try await bed.deploy(function(1, ["print"]))
        #expect(await bed.invoke(1, "bad").text == "bad")
        try await bed.until("the flood was read") {
            bed.shard.instances().isEmpty || bed.shard.statistics.logLines > 100
        }
        let lines = await bed.run { bed.lines }
        let perSecond = Dictionary(grouping: lines) { $0.time.microseconds / 1_000_000 }.mapValues(\.count)
        #expect(perSecond.values.allSatisfy { $0 <= Limits.Host.linesPerSecond })
        #expect(lines.first.map { String(decoding: $0.text, as: UTF8.self) }?.hasPrefix("line 0 of") == true)
        #expect(lines.first?.level == .stdout)
        #expect(await bed.invoke(1, "fine").text == "fine")
        await bed.close()
        #expect(bed.lines.contains { $0.droppedBefore > 0 } || bed.shard.statistics.logLinesDropped > 0)
    }

    /// Behaviour 67.
    @Test func aLineIsOfTheAttemptThatPrintedItHoweverSoonThatEnds() async throws {
        let bed = try await Bed()
        try await bed.deploy(function(1, ["say"]))
        for _ in 0..<100 { #expect(await bed.invoke(1, "bad").text == "bad") }
        let lines = await bed.run { bed.lines }
        #expect(lines.count == 100 && lines.allSatisfy { $0.invocation != nil })
        await bed.close()
    }

    @Test func whatWasPrintedIsNotRepeatedWithTheFailure() async throws {
        let bed = try await Bed()
        try await bed.deploy(function(1, ["complain"]))
        guard case .failure(let failure) = await bed.invoke(1, "bad") else {
            Issue.record("it fails")
            return
        }
        #expect(failure.detail == "broken pipe", "its caller is told all the same")
        try await bed.deploy(function(2, ["crash"]))
        #expect(await bed.invoke(2, "bad").code == .workerCrashed)
        let lines = await bed.run { bed.lines.map { String(decoding: $0.text, as: UTF8.self) } }
        #expect(lines.count { $0 == "broken pipe" } == 1, "\(lines)")
        #expect(lines.contains { $0.contains("the command failed [function_failed]") }, "\(lines)")
        await bed.close()
    }

    @Test func aFloodOfLogFramesIsBoundedAndItsAttemptSucceeds() async throws {
        let bed = try await Bed()
        try await bed.deploy(function(1, ["flood"]))
        try await bed.deploy(function(2))
        async let flooding = bed.invoke(1, "bad")
        for _ in 0..<20 { #expect(await bed.invoke(2, "calm").text == "calm") }
        #expect(await flooding.text == "bad")
        let count = await bed.run { bed.lines.count }
        #expect(count >= 1 && count < 100_000)
        await bed.close()
    }
}

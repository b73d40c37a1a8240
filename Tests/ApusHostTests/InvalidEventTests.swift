import ApusCore
import ApusEngine
import ApusHost
import ApusTestSupport
import Testing

/// Records that say they are events and are none, as the log on Kafka marks them.
@Suite struct InvalidEventTests {
    private static func invalid(_ text: String, key: String = "k") -> [UInt8] {
        var block = EventBlock.encode(
            event(text, key: key, [Attribute(InternalHeader.invalid, "no id", kind: .header)]))
        block[20] |= UInt8(EventBlock.invalidFlag)
        return block
    }

    private static func publish(_ bed: Bed, _ topic: TopicName, _ blocks: [[UInt8]]) async throws {
        let appends = blocks.map { LogBatch.Append(topic: topic, partition: nil, block: $0) }
        let result = await withCheckedContinuation { continuation in
            bed.log.submit(LogBatch(urgency: .producer, appends: appends)) { continuation.resume(returning: $0) }
        }
        _ = try result.get()
    }

    /// Behaviour 40.
    @Test(arguments: [nil, BatchPlan(maxSize: 4, maxWait: .milliseconds(1))])
    func oneIsADeadLetterWithItsBytesAtOnceAndTheNextGoesOn(batch: BatchPlan?) async throws {
        let bed = try await Bed()
        let (input, output, dead) = (try bed.topic("in"), try bed.topic("out"), try bed.topic("dead"))
        // A filter passes over what it can read, not over what cannot be read.
        let filter = try #require(SubscriptionFilter([(name: "type", value: "wanted")]))
        try await bed.deploy(
            function(
                1, batch: batch, triggers: [trigger(1, on: input, replyTo: output, deadLetter: dead, filter: filter)]))
        let valid = EventBlock.encode(event("good", key: "k", [Attribute("type", "wanted")]))
        try await Self.publish(bed, input, [Self.invalid("bad"), valid])
        try await bed.until("the one behind it ran") { bed.events(of: output).count == 1 }
        try await bed.until("a dead letter") { bed.events(of: dead).count == 1 }
        let letter = bed.events(of: dead)[0]
        #expect(letter.text == "bad")
        #expect(letter.header("apus-dead-code") == "invalid_event")
        #expect(letter.header("apus-dead-message") == "the record is no valid event: no id")
        #expect(letter.header("apus-dead-attempts") == "0")
        #expect(bed.events(of: output)[0].text == "good")
        #expect(await bed.statistics().retried == 0)
        await bed.close()
    }

    @Test func aTableIsNotFedWithOne() async throws {
        let bed = try await Bed()
        let table = try bed.topic("settings", compact: true)
        let valid = (0..<3).map { EventBlock.encode(event("value", key: "key \($0)")) }
        try await Self.publish(bed, table, [valid[0], Self.invalid("bad", key: "x"), valid[1], valid[2]])
        try await bed.deploy(function(1, ["table"], triggers: [trigger(1, on: table, kind: .table)]))
        #expect(await bed.invoke(1, "how many?").text == "3")
        await bed.close()
    }

    @Test func whatAFilterPassesOverAndWhereItFailsIsCounted() async throws {
        let bed = try await Bed()
        let (input, output) = (try bed.topic("in"), try bed.topic("out"))
        let expression = FilterExpression.binary(
            .greater, .value(.data([.member("total")])), .integer(10))
        let filter = try #require(SubscriptionFilter(.sql("data.total > 10", expression)))
        try await bed.deploy(function(1, triggers: [trigger(1, on: input, replyTo: output, filter: filter)]))
        try await bed.publish(
            input, [#"{"total": 11}"#, #"{"total": 10}"#, "{}", "no JSON", #"{"total": "12"}"#].map { event($0) })
        try await bed.until("2 replies") { bed.events(of: output).count == 2 }
        #expect(bed.events(of: output).map(\.text) == [#"{"total": 11}"#, #"{"total": "12"}"#])
        let statistics = await bed.statistics()
        #expect(statistics.filtered == 3)
        #expect(statistics.filterErrors == 2)
        await bed.close()
    }
}

import ApusCore
import ApusLoop
import ApusTestSupport
import Testing

@testable import ApusEngine
@testable import ApusHost

/// What becomes of a delivery beside plain success and failure.
@Suite struct OutcomeTests {
    // MARK: workers that are gone

    @Test func callsThatReachNoWorkerGoToTheNext() async throws {
        let bed = try await Bed()
        try await bed.deploy(function(1, ["shut"]))
        for number in 0..<4 { #expect(await bed.invoke(1, "call \(number)").text == "call \(number)") }
        #expect(await bed.statistics().failed == 0)
        await bed.close()
    }

    @Test func deliveriesThatReachNoWorkerAreNoAttempts() async throws {
        let bed = try await Bed()
        let (input, output) = (try bed.topic("in"), try bed.topic("out"))
        try await bed.deploy(
            function(
                1, ["shut"],
                triggers: [trigger(1, on: input, replyTo: output, order: .none, retry: RetryPlan(attempts: 1))]))
        try await bed.publish(input, (0..<4).map { event("event \($0)") })
        try await bed.until("4 replies") { bed.events(of: output).count == 4 }
        #expect(await bed.statistics().failed == 0)
        await bed.close()
    }

    // MARK: batches

    /// Behaviour 44.
    @Test func aBatchThatFailsIsSplitUntilTheBadEventIsAlone() async throws {
        let bed = try await Bed()
        let (input, output, dead) = (try bed.topic("in"), try bed.topic("out"), try bed.topic("dead"))
        try await bed.deploy(
            function(
                1, ["whole"], batch: BatchPlan(maxSize: 8, maxWait: .milliseconds(20)),
                triggers: [
                    trigger(
                        1, on: input, replyTo: output, deadLetter: dead, order: .none,
                        retry: RetryPlan(attempts: 2, initial: .milliseconds(1), max: .milliseconds(1)))
                ]))
        try await bed.publish(input, (0..<8).map { event($0 == 5 ? "bad" : "event \($0)") })
        try await bed.until("7 replies and a dead letter") {
            bed.events(of: output).count == 7 && bed.events(of: dead).count == 1
        }
        #expect(bed.events(of: dead)[0].text == "bad")
        #expect(bed.events(of: dead)[0].header("apus-dead-attempts") == "2")
        await bed.close()
    }

    // MARK: statuses

    /// Behaviour 34.
    @Test(arguments: [429, 503, 500, 408])
    func aBusyStatusIsTriedAgainWhenItSays(_ status: Int) async throws {
        let bed = try await Bed()
        let input = try bed.topic("in")
        try await bed.deploy(function(1, ["status", "\(status)"], triggers: [trigger(1, on: input)]))
        try await bed.publish(input, [event("payload")])
        try await bed.until("a failed attempt") { bed.shard.statistics.retried == 1 }
        let wait = await bed.run { (bed.shard.engine.lanes[0].ledger.entries.first?.due ?? .zero) - bed.shard.now }
        #expect((TimeSpan.seconds(3_000)...TimeSpan.seconds(3_600)).contains(wait), "the hour that Retry-After names")
        await bed.close()
    }

    @Test(arguments: [400, 404, 422, 501])
    func anyOtherRefusalIsNotTriedAgain(_ status: Int) async throws {
        let bed = try await Bed()
        let (input, dead) = (try bed.topic("in"), try bed.topic("dead"))
        try await bed.deploy(function(1, ["status", "\(status)"], triggers: [trigger(1, on: input, deadLetter: dead)]))
        try await bed.publish(input, [event("payload")])
        try await bed.until("a dead letter") { bed.events(of: dead).count == 1 }
        #expect(bed.events(of: dead)[0].header("apus-dead-attempts") == "1")
        #expect(bed.events(of: dead)[0].header("apus-dead-message") == "the handler answered with the status \(status)")
        await bed.close()
    }

    @Test func statusesThatSayYesAreSuccesses() {
        for status in [200, 202, 204, 304] { #expect(ReplyStatus(status: status).isSuccess) }
        for status in [408, 421, 425, 429, 500, 502, 503, 504] { #expect(ReplyStatus(status: status).isRetryable) }
        for status in [400, 401, 403, 404, 409, 413, 422, 501] {
            #expect(!ReplyStatus(status: status).isSuccess && !ReplyStatus(status: status).isRetryable)
        }
    }

    // MARK: events that must not run

    private static func moment(_ span: TimeSpan) -> String { RFC3339.format(Bed.clock.now + span) }

    @Test func anEventWhoseTimeIsOverIsSkippedOrKeptAsTheTriggerSays() async throws {
        let bed = try await Bed()
        let (input, output, dead) = (try bed.topic("in"), try bed.topic("out"), try bed.topic("dead"))
        try await bed.deploy(function(1, triggers: [trigger(1, on: input, replyTo: output, deadLetter: dead)]))
        try await bed.deploy(
            function(2, triggers: [trigger(2, on: input, deadLetter: dead, onExpired: .deadLetter)]))
        try await bed.publish(
            input,
            [
                event("late", [Attribute("expirytime", Self.moment(.seconds(-1)), kind: .timestamp)]),
                event("early", [Attribute("expirytime", Self.moment(.seconds(600)), kind: .timestamp)]),
                event("odd", [Attribute("expirytime", "soon")]),
            ])
        try await bed.until("2 replies and a dead letter") {
            bed.events(of: output).count == 2 && bed.events(of: dead).count == 1
        }
        #expect(Set(bed.events(of: output).map(\.text)) == ["early", "odd"])
        let letter = bed.events(of: dead)[0]
        #expect(letter.text == "late")
        #expect(letter.header("apus-dead-code") == "expired")
        #expect(letter.header("apus-dead-attempts") == "0")
        #expect(await bed.run { bed.shard.engine.status(of: TriggerID(rawValue: 1))?.counters.overdue } == 1)
        await bed.close()
    }

    // MARK: repetitions

    private func numbered(_ id: String, _ data: String, _ more: [Attribute] = []) -> Event {
        event(data, key: "k", [Attribute("id", id), Attribute("source", "/test", kind: .uriReference)] + more)
    }

    /// Behaviour 52.
    @Test func anEventThatComesAgainIsNotRunAgainAlsoNotAfterARestart() async throws {
        let log = MemoryLog { Bed.clock.now }
        for round in 0..<2 {
            let bed = try await Bed(log: log)
            let (input, output) = (try bed.topic("in"), try bed.topic("out"))
            try await bed.deploy(
                function(1, triggers: [trigger(1, on: input, replyTo: output, dedupWindow: .seconds(60))]))
            try await bed.publish(
                input, [self.numbered("1", "one"), self.numbered("1", "again"), self.numbered("2-\(round)", "two")])
            try await bed.until("replies of round \(round)") { bed.events(of: output).count == 2 + round }
            try await bed.until("everything settled") {
                bed.shard.engine.watermark(of: TriggerID(rawValue: 1), partition: 0) == Offset(3 * (round + 1))
            }
            #expect(bed.events(of: output).map(\.text) == (round == 0 ? ["one", "two"] : ["one", "two", "two"]))
            await bed.close()
        }
    }

    @Test func triggersRememberEachForItself() async throws {
        let bed = try await Bed()
        let (input, output) = (try bed.topic("in"), try bed.topic("out"))
        for id in [1, 2] as [UInt32] {
            try await bed.deploy(
                function(id, triggers: [trigger(id, on: input, replyTo: output, dedupWindow: .seconds(60))]))
        }
        try await bed.publish(input, [self.numbered("1", "one"), self.numbered("1", "one")])
        try await bed.until("a reply of each") { bed.events(of: output).count == 2 }
        await bed.close()
    }

    @Test func anEventThatWasRedrivenRunsAgain() async throws {
        let bed = try await Bed()
        let (input, output) = (try bed.topic("in"), try bed.topic("out"))
        try await bed.deploy(
            function(1, triggers: [trigger(1, on: input, replyTo: output, dedupWindow: .seconds(60))]))
        try await bed.publish(input, [self.numbered("1", "one")])
        try await bed.until("a reply") { bed.events(of: output).count == 1 }
        let mark = Attribute("apus-redrive", "default/function-1/trigger-1", kind: .header)
        try await bed.publish(input, [self.numbered("1", "redriven", [mark])])
        try await bed.until("another reply") { bed.events(of: output).map(\.text) == ["one", "redriven"] }
        await bed.close()
    }

    @Test func sourcesAndIdsAreToldApartByTheirLengths() throws {
        let dedup = Deduplication(scope: [1], window: .seconds(1))
        let bytes = Array("abcd".utf8)
        let identities = bytes.withUnsafeBytes { block in
            (1...3).map { dedup.identity(Deduplication.Place(source: 0..<$0, id: $0..<4), in: block) }
        }
        #expect(Set(identities).count == 3)
        #expect(bytes.withUnsafeBytes { dedup.identity(Deduplication.Place(source: 0..<1, id: nil), in: $0) } == nil)
    }

    // MARK: the log

    /// Behaviour 36.
    @Test func nothingIsSettledWhileDeadLettersCannotBeWritten() async throws {
        let log = FlakyLog { Bed.clock.now }
        let bed = try await Bed(log: log)
        let (input, dead) = (try bed.topic("in"), try bed.topic("dead"))
        try await bed.deploy(function(1, ["reject"], triggers: [trigger(1, on: input, deadLetter: dead)]))
        log.fail(next: .max)
        try await bed.publish(input, [event("payload")])
        try await bed.until("two refused writes") { bed.shard.statistics.commitsFailed >= 2 }
        #expect(bed.events(of: dead).isEmpty)
        #expect(await bed.run { bed.shard.triggerStatuses().first?.blocked?.code } == .logFull)
        #expect(await bed.run { bed.shard.engine.status(of: TriggerID(rawValue: 1))?.counters.settled } == 0)
        log.fail(next: 0)
        try await bed.until("a dead letter") { bed.events(of: dead).count == 1 }
        try await bed.until("it is settled") {
            bed.shard.engine.status(of: TriggerID(rawValue: 1))?.counters.settled == 1
        }
        #expect(await bed.run { bed.shard.triggerStatuses().first?.blocked } == nil)
        await bed.close()
    }
}

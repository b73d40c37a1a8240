import ApusCore
import ApusEngine
@testable import ApusHost
import ApusTestSupport
import Testing

@Suite struct OutputRecordTests {
    private let template = OutputTemplate(
        function: ResourceName(.default, "shout").unsafelyUnwrapped, topic: TopicName(onLog: "in"))

    private func build(_ event: Event, source: Event = Event(data: nil)) throws -> Event {
        let block = EventBlock.encode(event)
        let context = EventBlock.encode(source).withUnsafeBytes { SourceContext($0) }
        let record = try block.withUnsafeBytes {
            try OutputRecord.build(
                $0, layout: EventLayout(parsing: $0.bytes), template: self.template,
                id: self.template.id(partition: 2, offset: 45),
                key: context.key, source: context)
        }
        return try EventBlock.decode(record.span.bytes)
    }

    @Test func whatAResultLeavesOutIsCompleted() throws {
        let source = Event(
            key: [1, 2],
            attributes: [Attribute("traceparent", "00-1-2-01"), Attribute("apus-hops", "3", kind: .header)], data: [])
        let reply = try self.build(
            Event(attributes: [Attribute("datacontenttype", "text/plain")], data: [65]), source: source)
        #expect(reply["id"] == "shout:in:2:45")
        #expect(reply["source"] == "/apus/default/shout")
        #expect(reply["type"] == "dev.apus.result")
        #expect(reply["datacontenttype"] == "text/plain")
        #expect(reply["traceparent"] == "00-1-2-01")
        #expect(reply.header("apus-hops") == "4")
        #expect(reply.key == [1, 2])
        #expect(reply.data == [65])
    }

    @Test func whatAResultBringsIsKept() throws {
        let own = Event(
            key: [9],
            attributes: [
                Attribute("id", "own"), Attribute("source", "/mine"), Attribute("type", "mine"),
                Attribute("traceparent", "00-9-9-01"),
                Attribute("color", "red"), Attribute("mine", "yes", kind: .header),
            ], data: nil)
        let reply = try self.build(
            own, source: Event(key: [1], attributes: [Attribute("traceparent", "00-1-2-01")], data: []))
        #expect(Array(reply.attributes.dropLast()) == own.attributes)
        #expect(reply.header("apus-hops") == "1")
        #expect(reply.key == [9])
        #expect(reply.data == nil)
    }

    @Test func headersThatOnlyApusWritesAreStripped() throws {
        let forged = Event(
            attributes: [
                Attribute("apus-hops", "0", kind: .header), Attribute("a", "1"),
                Attribute("apus-dead-topic", "x", kind: .header),
                Attribute("b", "2", kind: .header), Attribute("apus-x", "3", kind: .header),
            ], data: [1])
        let reply = try self.build(
            forged, source: Event(attributes: [Attribute("apus-hops", "7", kind: .header)], data: []))
        #expect(reply.header("apus-hops") == "8")
        #expect(reply.header("apus-dead-topic") == nil)
        #expect(reply.header("apus-x") == nil)
        #expect(reply["a"] == "1")
        #expect(reply.header("b") == "2")
    }

    @Test func anEventAtTheLimitPassesAndOneByteMoreDoesNot() throws {
        let room = Limits.eventBytes - EventBlock.headBytes
        #expect(try self.build(Event(data: Array(repeating: 0, count: room))).data?.count == room)
        #expect(throws: OutputError.tooLarge(Limits.eventBytes + 1)) {
            try self.build(Event(data: Array(repeating: 0, count: room + 1)))
        }
    }

    @Test func attributesOfAnUnknownKindAreRefused() throws {
        var block = EventBlock.encode(Event(attributes: [Attribute("a", "1")], data: []))
        block[EventBlock.headBytes + 1] = 77
        #expect(throws: OutputError.frame(.malformed)) {
            try block.withUnsafeBytes {
                try OutputRecord.build(
                    $0, layout: EventLayout(parsing: $0.bytes), template: self.template, id: [1], key: nil, source: nil)
            }
        }
    }
}

@Suite struct DeadLetterRecordTests {
    private func reason(_ message: String = "why") throws -> DeadLetterReason {
        DeadLetterReason(
            topic: try #require(TopicName(onLog: "in")), partition: 1, offset: 2, attempts: 3,
            failure: Failure(.functionFailed, message), function: try #require(ResourceName(.default, "f")),
            trigger: "t",
            time: Timestamp(microseconds: 99), revision: "r")
    }

    @Test func aGoneRecordLeavesWhatIsKnown() throws {
        let letter = try EventBlock.decode(DeadLetterRecord.build(nil, reason: self.reason()).span.bytes)
        #expect(letter.key == nil)
        #expect(letter.data == nil)
        #expect(letter.header("apus-dead-offset") == "2")
        #expect(letter.header("apus-dead-time") == "99")
    }

    @Test func aLongMessageIsCutBetweenCharacters() throws {
        let letter = try EventBlock.decode(
            DeadLetterRecord.build(nil, reason: self.reason(String(repeating: "ü", count: 10_000))).span.bytes)
        let message = try #require(letter.header("apus-dead-message"))
        #expect(message.utf8.count <= Limits.Host.messageBytes)
        #expect(message.hasSuffix("…"))
    }

    @Test func anEventFullOfAttributesStaysReadable() throws {
        let full = Event(
            key: [1], attributes: (0..<100).map { Attribute("a\($0)", String(repeating: "v", count: 648)) },
            data: [1, 2, 3])
        let block = EventBlock.encode(full)
        let letter = try block.withUnsafeBytes {
            try EventBlock.decode(DeadLetterRecord.build($0, reason: self.reason()).span.bytes)
        }
        #expect(letter.data == [1, 2, 3])
        #expect(letter.header("apus-dead-code") == "function_failed")
        let omitted = try #require(Int(letter.header("apus-dead-omitted") ?? ""))
        #expect(letter.attributes.filter { $0.kind == .string }.count + omitted == 100)
        // A dead letter that fails again says the newest reason only.
        let again = DeadLetterRecord.build(nil, reason: try self.reason())
        let twice = try again.withUnsafeBytes {
            try EventBlock.decode(DeadLetterRecord.build($0, reason: self.reason("newer")).span.bytes)
        }
        #expect(twice.attributes.filter { $0.name == "apus-dead-message" }.map(\.text) == ["newer"])
    }
}

@Suite struct LedgerKeyTests {
    @Test func aKeyNamesItsPartition() throws {
        let prefix = LedgerKey.prefix(function: try #require(ResourceName(.default, "f")), trigger: "t", generation: 12)
        #expect(String(decoding: prefix, as: UTF8.self) == "default/f/t/12/")
        let key = LedgerKey.key(prefix: prefix, partition: 255)
        #expect(String(decoding: key, as: UTF8.self) == "default/f/t/12/255")
        #expect(LedgerKey.partition(of: key, prefix: prefix) == 255)
        #expect(LedgerKey.partition(of: Array("default/f/t/1/2".utf8), prefix: prefix) == nil)
        #expect(LedgerKey.partition(of: prefix, prefix: prefix) == nil)
    }

    @Test func bytesThatAreNoEntryAreDamage() {
        #expect(throws: ApusError.self) { try LedgerKey.decode([]) }
        #expect(throws: ApusError.self) { try LedgerKey.decode([250, 1]) }
    }
}

@Suite struct LineCaptureTests {
    private func lines(_ text: String, pieces: Int, lineBytes: Int = 10) -> [String] {
        var capture = LineCapture(lineBytes: lineBytes)
        var lines: [String] = []
        let body = { (line: [UInt8], isCut: Bool) in
            lines.append(String(decoding: line, as: UTF8.self) + (isCut ? "|cut" : ""))
        }
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: pieces) {
            Array(bytes[start..<min(start + pieces, bytes.count)]).withUnsafeBytes { capture.take($0, body) }
        }
        capture.finish(body)
        return lines
    }

    @Test func linesAreCutAtTheirEndsHoweverTheyArrive() {
        for pieces in 1...12 {
            #expect(self.lines("one\ntwo\r\n\nlast", pieces: pieces) == ["one", "two", "", "last"])
            #expect(self.lines("0123456789\n0123456789a\nb", pieces: pieces) == ["0123456789", "0123456789|cut", "b"])
            #expect(self.lines("ends\n", pieces: pieces) == ["ends"])
        }
    }

    @Test func aSecondHasItsLinesAndAnAttemptItsBytes() {
        var budget = LogBudget()
        let second = Timestamp(microseconds: 5_000_000)
        for _ in 0..<Limits.Host.linesPerSecond {
            let dropped = budget.admit(1, now: second)
            #expect(dropped == 0)
        }
        do {
            let value = budget.admit(1, now: second)
            #expect(value == nil)
        }
        do {
            let value = budget.admit(1, now: second)
            #expect(value == nil)
        }
        do {
            let value = budget.admit(1, now: second + .seconds(1))
            #expect(value == 2)
        }
        do {
            let value = budget.admit(1, now: second + .seconds(1))
            #expect(value == 0)
        }
        #expect(budget.droppedTotal == 2)

        var bytes = LogBudget()
        do {
            let value = bytes.admit(Limits.Host.logBytesPerAttempt, now: second)
            #expect(value == 0)
        }
        do {
            let value = bytes.admit(1, now: second)
            #expect(value == nil)
        }
        bytes.beginAttempt()
        do {
            let value = bytes.admit(1, now: second)
            #expect(value == 1)
        }
    }
}

@Suite struct CommitPipelineTests {
    private let now = Timestamp(microseconds: 1_000_000)

    private func output(_ bytes: Int = 10) throws -> [LogBatch.Append] {
        [LogBatch.Append(topic: try #require(TopicName(onLog: "out")), block: Array(repeating: 0, count: bytes))]
    }

    @Test func outputsGoAtOnceAndSettlingAloneWaitsForCompany() throws {
        var commits = CommitPipeline()
        #expect(!commits.isDue(now: self.now, isIdle: true))
        commits.ledgerIsDirty(now: self.now)
        #expect(!commits.isDue(now: self.now, isIdle: false))
        #expect(commits.isDue(now: self.now, isIdle: true))
        #expect(commits.nextDue == self.now + Limits.Host.ledgerDelay)
        #expect(commits.isDue(now: self.now + Limits.Host.ledgerDelay, isIdle: false))
        commits.append(try self.output(), now: self.now)
        #expect(commits.isDue(now: self.now, isIdle: false))
    }

    @Test func oneWriteIsUnderWayAtATime() throws {
        var commits = CommitPipeline()
        commits.append(try self.output(), now: self.now)
        let batch = commits.begin([], now: self.now)
        #expect(batch?.appends.count == 1)
        commits.append(try self.output(), now: self.now)
        #expect(!commits.isDue(now: self.now, isIdle: true))
        commits.succeeded()
        #expect(commits.isDue(now: self.now, isIdle: true))
        #expect(commits.bytes == 10)
    }

    @Test func aWriteThatFailedIsSentAgainLaterWithItsOutputsFirst() throws {
        var commits = CommitPipeline()
        commits.append(try self.output(1), now: self.now)
        commits.forget(LogBatch.LedgerWrite(key: [1], value: nil), now: self.now)
        let entry = LogBatch.LedgerWrite(key: [2], value: [3])
        let batch = commits.begin([entry], now: self.now)
        #expect(batch?.ledger.count == 2)
        commits.append(try self.output(2), now: self.now)
        commits.failed(now: self.now)
        #expect(!commits.isDue(now: self.now, isIdle: true))
        let later = self.now + .milliseconds(Int64(Limits.Host.commitRetryMilliseconds))
        #expect(commits.nextDue == later)
        #expect(commits.isDue(now: later, isIdle: true))
        let second = commits.begin([], now: later)
        let again = try #require(second)
        #expect(again.appends.map(\.block.count) == [1, 2])
        #expect(again.ledger.map(\.key) == [[1]])
        commits.succeeded()
        #expect(commits.bytes == 0)
        #expect(!commits.isWaiting)
    }

    @Test func heldOutputsAreNotCountedAgainstThemselves() throws {
        var commits = CommitPipeline()
        let delivery = Delivery(trigger: TriggerID(rawValue: 1), partition: 0, offset: 5)
        commits.hold(delivery, try self.output(Limits.Host.pendingOutputBytes))
        #expect(commits.bytes == 0)
        #expect(commits.isWaiting)
        let held = commits.takeHeld()
        #expect(held.map(\.delivery) == [delivery])
        #expect(!commits.isWaiting)
    }
}

@Suite struct LatencyHistogramTests {
    @Test func bucketsDouble() {
        var histogram = LatencyHistogram()
        for microseconds: Int64 in [0, 1, 2, 3, 1_000, -5, .max] { histogram.record(.microseconds(microseconds)) }
        #expect(histogram.count == 7)
        #expect(histogram.buckets[0] == 3, "0, 1 and what a clock turned back gives")
        #expect(histogram.buckets[1] == 1)
        #expect(histogram.buckets[2] == 1)
        #expect(histogram.buckets[10] == 1)
        #expect(histogram.percentile(50) == .microseconds(2))
        #expect(histogram.percentile(100) == .microseconds(1 << 39))
        #expect(LatencyHistogram().percentile(50) == nil)
        #expect(histogram.buckets[LatencyHistogram.bucketCount - 1] == 1)
    }
}

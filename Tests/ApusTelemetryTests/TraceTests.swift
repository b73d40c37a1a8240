import ApusCore
import ApusTelemetry
import Testing

@Suite struct TraceTests {
    private static let valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    @Test func aTraceparentIsReadAndWrittenAlike() throws {
        let context = try #require(TraceContext(Self.valid))
        #expect(context.description == Self.valid && context.isSampled)
        #expect(context.trace.description == "4bf92f3577b34da6a3ce929d0e0e4736")
        #expect(context.span.description == "00f067aa0ba902b7")
        #expect(TraceContext(Self.valid.dropLast(2) + "00")?.isSampled == false)
        // Flags that this version does not know are not passed on.
        #expect(TraceContext(Self.valid.dropLast(2) + "03")?.description == Self.valid)
        #expect(TraceContext("01" + Self.valid.dropFirst(2) + "-more")?.description == Self.valid, "of a later version")
    }

    @Test(arguments: [
        "", "00", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", Self.valid + "-more", Self.valid + "0",
        "ff" + Self.valid.dropFirst(2), "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", Self.valid.uppercased(),
        Self.valid.replacing("-", with: "_"), "0g" + Self.valid.dropFirst(2), "01" + Self.valid.dropFirst(2) + "x",
    ]) func whatTheSpecificationSaysToIgnoreIsIgnored(text: String) {
        #expect(TraceContext(text) == nil)
    }

    @Test func aTracestateIsCarriedWholeOrNotAtAll() {
        for text in ["a=1", "vendor@system=x, b=2", "a=1,,b=2", "0a@b=1", "a*/-_=\u{21}"] {
            #expect(TraceState.checked(text) == text, "\(text)")
        }
        let many = (0...Limits.Telemetry.traceStateMembers).map { "k\($0)=v" }.joined(separator: ",")
        for text in ["", ",", "a", "a=", "A=1", "a=1,a=2", "1a=1", "a=b=c", "a=\u{e9}", "a@b@c=1", many] {
            #expect(TraceState.checked(text) == nil, "\(text)")
        }
        let value = String(repeating: "v", count: 251)
        let longest = "a=\(value),b=\(value),cc=v"
        #expect(longest.utf8.count == Limits.Telemetry.traceStateBytes && TraceState.checked(longest) != nil)
        #expect(TraceState.checked(longest + "v") == nil)
    }

    @Test func aSampledEventIsMarkedSoThatOneLookTells() throws {
        func block(_ attributes: [Attribute]) -> [UInt8] { EventBlock.encode(Event(attributes: attributes, data: [1])) }
        func isMarked(_ block: [UInt8]) -> Bool { block.withUnsafeBytes { EventBlock.isSampled($0) } }
        #expect(isMarked(block([Attribute("id", "1"), Attribute("traceparent", Self.valid, kind: .header)])))
        #expect(isMarked(block([Attribute("traceparent", Self.valid)])))
        #expect(!isMarked(block([Attribute("traceparent", Self.valid.dropLast(2) + "00")])))
        #expect(!isMarked(block([Attribute("traceparent", "00-ab-cd-01")])))
        #expect(!isMarked(block([Attribute("other", Self.valid)])))
        for (digit, odd) in [("0", false), ("1", true), ("9", true), ("a", false), ("b", true), ("f", true)] {
            #expect(EventBlock.isSampled(traceparent: Array((Self.valid.dropLast() + digit).utf8)) == odd, "\(digit)")
        }
        // The mark is no part of the event.
        let event = Event(attributes: [Attribute("traceparent", Self.valid)], data: [1])
        #expect(try EventBlock.decode(EventBlock.encode(event).span.bytes) == event)
    }

    @Test func theLastHopCountsAndTheOriginStays() throws {
        let hop = TraceContext(trace: .random(), span: .random(), isSampled: true)
        let event = Event(
            key: [7],
            attributes: [Attribute("traceparent", Self.valid), Attribute("tracestate", "a=1", kind: .header)],
            data: [1, 2], timestamp: Timestamp(microseconds: 5))
        let block = EventBlock.encode(event)
        let own = try #require(block.withUnsafeBytes { EventTrace($0) })
        #expect(own.context.description == Self.valid && own.origin == nil && own.state == "a=1")
        let again = block.withUnsafeBytes { EventTrace.rewritten($0, hop, isMarked: true) }
        let trace = try #require(again.withUnsafeBytes { EventTrace($0) })
        #expect(trace.context == hop && trace.origin?.description == Self.valid && trace.state == "a=1")
        var expected = event
        expected.attributes.append(Attribute("traceparent", hop.description, kind: .header))
        #expect(try EventBlock.decode(again.span.bytes) == expected, "all else is as it was")
        let forWorker = again.withUnsafeBytes { EventTrace.rewritten($0, hop, isMarked: false) }
        #expect(!forWorker.withUnsafeBytes { EventBlock.isSampled($0) })
        let left = again.withUnsafeBytes { EventTrace.rewritten($0, nil, isMarked: false) }
        #expect(!left.withUnsafeBytes { EventBlock.isSampled($0) } && left.count == again.count)
    }

    @Test func anEventWithoutRoomForAHeaderGoesAsItIs() {
        let full = Event(
            attributes: (0..<Limits.attributesPerEvent).map { Attribute("a\($0)", "v") }, data: nil)
        let block = EventBlock.encode(full)
        let context = TraceContext(trace: .random(), span: .random(), isSampled: true)
        #expect(block.withUnsafeBytes { EventTrace.rewritten($0, context, isMarked: true) } == block)
    }

    // MARK: the queue

    @Test func theQueueHoldsSoManyAndCountsTheRest() {
        let tracer = Tracer(sample: 1)
        let span = Span(
            "s", .internal, TraceContext(trace: .random(), span: .random(), isSampled: true), parent: nil,
            start: .zero, end: .zero)
        for _ in 0..<Limits.Telemetry.waitingSpans + 3 { tracer.record(span) }
        #expect(tracer.counters.dropped == 3)
        #expect(tracer.take(100).count == 100)
        #expect(tracer.take(.max).count == Limits.Telemetry.waitingSpans - 100)
        #expect(tracer.isEmpty)
    }

    @Test func theRateOfNewTracesIsKept() {
        #expect((0..<1_000).allSatisfy { _ in Tracer(sample: 1).startsTrace() })
        #expect(!(0..<1_000).contains { _ in Tracer(sample: 0).startsTrace() })
        let half = Tracer(sample: 0.5)
        let count = (0..<10_000).count { _ in half.startsTrace() }
        #expect((4_000...6_000).contains(count))
    }

    @Test func aBusyReceiverIsAskedAgainEverLaterAndThenNoMore() {
        var schedule = ExportSchedule()
        let now = Timestamp(microseconds: 1_000_000)
        func say(_ answer: ExportSchedule.Answer) -> ExportSchedule.Action { schedule.answered(answer, now: now) }
        #expect(say(.accepted) == .next)
        #expect(say(.refused) == .drop)
        #expect(say(.busy(retryAfter: nil)) == .again(now + .seconds(1)))
        #expect(say(.busy(retryAfter: nil)) == .again(now + .seconds(2)))
        #expect(say(.busy(retryAfter: .seconds(10))) == .again(now + .seconds(10)))
        #expect(say(.busy(retryAfter: .seconds(9_999))) == .again(now + Limits.Telemetry.exportBackoffMax))
        #expect(say(.busy(retryAfter: nil)) == .again(now + .seconds(16)))
        #expect(say(.busy(retryAfter: nil)) == .drop, "the \(Limits.Telemetry.exportAttempts)th")
        #expect(say(.busy(retryAfter: nil)) == .again(now + .seconds(1)), "the next batch is new")
    }

    @Test func theProcessKnowsWhatItUses() {
        let usage = ProcessUsage.read()
        #expect(usage.cpuSeconds > 0 && usage.residentBytes > 1e6 && usage.virtualBytes > usage.residentBytes)
        #expect(usage.openDescriptors > 2 && usage.maxDescriptors >= usage.openDescriptors && usage.threads >= 1)
    }
}

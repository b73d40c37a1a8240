import ApusCore
import ApusEngine
import ApusTelemetry
import Testing

@testable import ApusHost

@Suite(.timeLimit(.minutes(2))) struct HostTraceTests {
    private static let published = TraceContext(
        trace: TraceID(high: 1, low: 2), span: SpanID(rawValue: 3), isSampled: true)

    private static func traced(_ data: String, key: String? = nil) -> Event {
        event(data, key: key, [Attribute("traceparent", Self.published.description, kind: .header)])
    }

    private static func value(_ span: Span, _ name: String) -> Span.Value? {
        span.attributes.first { $0.name == name }?.value
    }

    /// Behaviour 61.
    @Test func aDeliveryItsAttemptsItsStartAndItsCommitAreOneTree() async throws {
        let tracer = Tracer(sample: 1)
        let bed = try await Bed(tracer: tracer)
        let (source, target) = (try bed.topic("in"), try bed.topic("out"))
        try await bed.deploy(function(1, triggers: [trigger(1, on: source, replyTo: target)]))
        try await bed.publish(source, [Self.traced("hello"), event("untraced")])
        try await bed.until("both replies") { bed.events(of: target).count == 2 && tracer.counters.taken >= 4 }
        let spans = tracer.take(.max)
        #expect(spans.count == 4, "\(spans.map(\.name)): nothing of the untraced event")
        #expect(spans.allSatisfy { $0.context.trace == Self.published.trace && $0.context.isSampled })
        #expect(Set(spans.map(\.context.span)).count == 4)
        let delivery = try #require(spans.first { $0.name == "process in" })
        #expect(delivery.parent == Self.published.span && delivery.kind == .consumer && delivery.failure == nil)
        let attempt = try #require(spans.first { $0.name == "attempt function-1" })
        #expect(attempt.parent == delivery.context.span)
        #expect(Self.value(attempt, "apus.attempt") == .integer(1))
        let start = try #require(spans.first { $0.name == "start function-1" })
        #expect(start.parent == delivery.context.span && start.moments.map(\.name) == ["launched", "greeted"])
        let commit = try #require(spans.first { $0.name == "commit" })
        #expect(commit.parent == delivery.context.span && commit.start >= attempt.end && commit.end == delivery.end)

        // The reply goes on from the attempt; the other event is part of no trace.
        let replies = bed.events(of: target)
        #expect(replies.first { $0.text == "hello" }?.header("traceparent") == attempt.context.description)
        #expect(replies.first { $0.text == "untraced" }?.header("traceparent") == nil)
        await bed.close()
    }

    @Test func everyAttemptHasASpanBelowOneDelivery() async throws {
        let tracer = Tracer(sample: 1)
        let bed = try await Bed(tracer: tracer)
        let source = try bed.topic("in")
        _ = try bed.topic("apus.dead")
        try await bed.deploy(function(1, ["fail"], triggers: [trigger(1, on: source)]))
        try await bed.publish(source, [Self.traced("x")])
        try await bed.until("the dead letter") {
            bed.events(of: .dead).count == 1 && tracer.counters.taken >= 6
        }
        let spans = tracer.take(.max)
        let delivery = try #require(spans.first { $0.kind == .consumer })
        let attempts = spans.filter { $0.name.hasPrefix("attempt") }
        #expect(attempts.count == 3 && attempts.allSatisfy { $0.parent == delivery.context.span && $0.failure != nil })
        #expect(attempts.compactMap { Self.value($0, "apus.attempt") } == [.integer(1), .integer(2), .integer(3)])
        #expect(delivery.failure != nil && Self.value(delivery, "apus.attempts") == .integer(3))
        #expect(bed.events(of: .dead).first?.header("traceparent") == Self.published.description)
        await bed.close()
    }

    @Test func deliveriesAboveTheBoundAreNotTracedAndCounted() async throws {
        let tracer = Tracer(sample: 1)
        let bed = try await Bed(tracer: tracer)
        let (source, target) = (try bed.topic("in"), try bed.topic("out"))
        let plan = trigger(1, on: source, replyTo: target)
        try await bed.deploy(function(1, triggers: [plan]))
        func fill(_ count: Int) async {
            await bed.run {
                guard let state = bed.shard.triggers[TriggerID(rawValue: 1)] else {
                    Issue.record("no trigger")
                    return
                }
                bed.shard.openTraces = [:]
                for number in 0..<count {
                    let delivery = Delivery(trigger: TriggerID(rawValue: 9), partition: 0, offset: Offset(number))
                    bed.shard.openTraces[delivery] = DeliveryTrace(
                        trigger: state, delivery: delivery, trace: Self.published.trace, parent: Self.published.span,
                        span: Self.published.span, state: nil, arrivedAt: .zero, firstDispatchAt: .zero)
                }
            }
        }
        await fill(Limits.Host.openTraces)
        try await bed.publish(source, [Self.traced("above")])
        try await bed.until("the reply") { bed.events(of: target).count == 1 }
        #expect(await bed.statistics().tracesDropped == 1)
        #expect(await bed.run { bed.shard.openTraces.count } == Limits.Host.openTraces)

        await fill(Limits.Host.openTraces - 1)
        try await bed.publish(source, [Self.traced("at")])
        try await bed.until("the reply") { bed.events(of: target).count == 2 }
        #expect(await bed.statistics().tracesDropped == 1)
        await bed.close()
    }

    @Test func withoutAReceiverTracesPassThrough() async throws {
        let bed = try await Bed()
        let (source, target) = (try bed.topic("in"), try bed.topic("out"))
        try await bed.deploy(function(1, triggers: [trigger(1, on: source, replyTo: target)]))
        try await bed.publish(source, [Self.traced("hello")])
        try await bed.until("the reply") { bed.events(of: target).count == 1 }
        #expect(bed.events(of: target).first?.header("traceparent") == Self.published.description)
        await bed.close()
    }

    @Test func theSpanOfADeliverySurvivesARestart() {
        let id = InvocationID(high: 5, low: 7)
        #expect(DeliveryTrace.span(of: id) == DeliveryTrace.span(of: id))
        #expect(DeliveryTrace.span(of: id) != DeliveryTrace.span(of: InvocationID(high: 7, low: 5)))
    }
}

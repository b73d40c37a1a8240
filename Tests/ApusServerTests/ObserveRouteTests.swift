import ApusCore
import ApusHTTP
import ApusHost
import ApusJSON
import ApusTelemetry
import ApusTestSupport
import Testing

@testable import ApusServer

@Suite(.timeLimit(.minutes(3))) struct ObserveRouteTests {
    @Test func theLastDeliveriesAndRatesAreJSONAndSayWhatTheyLeaveOut() throws {
        let bed = try ServerBed(shards: 2)
        _ = try bed.makeTopic("orders")
        _ = try bed.makeFunction("price", topic: "orders")
        let deliveries = try bed.ask("GET", "/v1/deliveries?function=price&state=failed&limit=5")
        let json = try JSONValue.parse(deliveries.body)
        #expect(deliveries.status == 200 && json["items"]?.array?.isEmpty == true)
        #expect(json["sampling"]?["successesPerSecond"]?.integer == Int64(Limits.Host.notedSuccessesPerSecond))
        let id = String(repeating: "a", count: 32)
        #expect(try bed.ask("GET", "/v1/deliveries/\(id)").status == 404)
        #expect(try bed.ask("GET", "/v1/namespaces/other/deliveries").status == 200)
        for path in [
            "deliveries?state=odd", "deliveries?limit=0", "deliveries?topic=x", "deliveries/xyz", "stats?seconds=0",
        ] {
            #expect(try bed.ask("GET", "/v1/\(path)").status == 400, "\(path)")
        }
        let stats = try JSONValue.parse(try bed.ask("GET", "/v1/stats?seconds=10").body)
        #expect(stats["seconds"]?.integer == 10 && stats["coldStarts"]?["count"]?.integer == 0)
        #expect(stats["triggers"]?.array?.first?["function"]?.string == "price")
        #expect(stats["instances"]?["ready"]?.integer == 0)
        bed.server.stop()
    }

    @Test func ratesComeAsAStreamThatEndsWithTheServer() throws {
        let bed = try ServerBed()
        let stream = bed.stream("GET", "/v1/stats", headers: [ServerBed.events])
        try ServerBed.until("two reports") { stream.read.split(separator: "\n").count { $0.hasPrefix("data: ") } >= 2 }
        bed.server.stop()
        try ServerBed.until("the end") { stream.end != nil }
    }

    @Test func whatCannotBeServedIsNamedForTheJournal() throws {
        let bed = try ServerBed()
        #expect(try bed.ask("GET", "/readyz").header("Apus-Request") == nil)
        bed.log.setShort(true)
        let refused = try bed.ask("GET", "/readyz")
        #expect(refused.status == 503 && refused.header("Apus-Request")?.utf8.count == 32)
        bed.server.stop()
    }

    // MARK: traces of requests

    private static let incoming = TraceContext(
        trace: TraceID(high: 1, low: 2), span: SpanID(rawValue: 3), isSampled: true)
    private static let other = TraceContext(
        trace: TraceID(high: 8, low: 9), span: SpanID(rawValue: 4), isSampled: true)

    @Test func theHeaderCountsForMoreThanTheOriginAndBothForMoreThanChance() throws {
        func decide(_ incoming: TraceContext?, _ origin: TraceContext?, starts: Bool?) -> TraceDecision {
            .of(incoming: incoming, origin: origin, state: "a=1", startsTrace: starts.map { value in { value } })
        }
        guard case .record(let context, let parent, let state) = decide(Self.incoming, Self.other, starts: false) else {
            Issue.record("a sampled trace goes on")
            return
        }
        #expect(context.trace == Self.incoming.trace && context.span != Self.incoming.span && state == "a=1")
        #expect(parent == Self.incoming.span && context.isSampled)
        guard case .record(let own, Self.other.span, _) = decide(nil, Self.other, starts: false) else {
            Issue.record("the origin is the parent")
            return
        }
        #expect(own.trace == Self.other.trace)
        guard case .record(let fresh, nil, _) = decide(nil, nil, starts: true) else {
            Issue.record("a trace begins")
            return
        }
        #expect(fresh.isSampled)
        #expect(decide(nil, nil, starts: false) == .none)
        #expect(decide(nil, Self.other, starts: nil) == .none, "the attribute travels by itself")
        #expect(decide(Self.incoming, nil, starts: nil) == .pass(Self.incoming, state: "a=1"))
        var unsampled = Self.incoming
        unsampled.isSampled = false
        #expect(decide(unsampled, nil, starts: true) == .pass(unsampled, state: "a=1"), "its caller decided")
    }

    @Test func anEventCarriesTheTraceOfItsRequestAsAHeader() throws {
        let bed = try ServerBed()
        _ = try bed.makeTopic("orders")
        let orders = try #require(TopicName(.default, "orders"))
        let answer = try bed.ask(
            "POST", "/v1/topics/orders/events",
            headers: [
                HTTPHeader("traceparent", Self.incoming.description), HTTPHeader("tracestate", "a=1"),
                HTTPHeader("ce-traceparent", Self.other.description), HTTPHeader("ce-specversion", "1.0"),
                HTTPHeader("ce-id", "1"), HTTPHeader("ce-source", "/test"), HTTPHeader("ce-type", "t"),
            ], body: "x")
        #expect(answer.status == 202)
        var events: [Event] = []
        _ = try bed.log.read(TopicPartition(orders, 0), from: 0, maxRecords: 10, maxBytes: .max) { _, block in
            if let event = try? EventBlock.decode(block.bytes) { events.append(event) }
            return true
        }
        let event = try #require(events.first)
        func header(_ name: String) -> String? {
            event.attributes.first { $0.kind == .header && $0.name == name }?.text
        }
        #expect(header("traceparent") == Self.incoming.description && header("tracestate") == "a=1")
        #expect(event["traceparent"] == Self.other.description, "where the trace began is the producer's to say")
        bed.server.stop()
    }

    // MARK: timing

    @Test func aTimingIsWrittenForBrowsersAndForPrograms() {
        let timing = AttemptTiming(
            queued: .microseconds(41), startTier: .cold, starting: .microseconds(64_007), running: .milliseconds(2),
            committing: .zero)
        #expect(
            timing.serverTiming
                == #"queued;dur=0.041, starting;dur=64.007;desc="cold", running;dur=2, committing;dur=0"#)
        #expect(timing.headerValue == "queued=41, start=cold, starting=64007, running=2000, committing=0")
        #expect(timing.json["start"]?.string == "cold" && timing.json["running"]?.integer == 2_000)
        #expect(AttemptTiming().json["committing"] == .null)
    }

    @Test func anOutcomeSaysBehindWhatItRan() {
        var timing = AttemptTiming()
        #expect(timing.isolation.headerValue == "standard" && timing.json["isolation"] == "standard")
        timing.isolation = WorkerIsolation(.hostile, missingLayers: ["cpu-limit", "swap-limit"])
        #expect(timing.isolation.headerValue == #"hostile; missing="cpu-limit swap-limit""#)
        timing.isolation.mode = .rootless
        #expect(timing.isolation.headerValue == #"hostile; mode=rootless; missing="cpu-limit swap-limit""#)
        #expect(timing.json["isolationMode"] == "rootless")
        #expect(timing.json["missingLayers"] == ["cpu-limit", "swap-limit"])
    }

    // MARK: rates

    @Test func ratesOfTopicsAreWhatWasAppendedEachSecond() throws {
        let rates = TopicRates()
        let orders = try #require(TopicName(.default, "orders"))
        func sample(_ records: Int64, second: Int64) {
            rates.sample(
                [TopicAppended(topic: orders, records: records, bytes: records * 10)],
                now: Timestamp(microseconds: second * 1_000_000))
        }
        sample(5, second: 100)
        sample(5, second: 101)
        sample(12, second: 103)
        let now = Timestamp(microseconds: 103_000_000)
        let found = try #require(rates.rates(seconds: 5, now: now).first)
        #expect(found.records == [0, 5, 0, 0, 7] && found.bytes == [0, 50, 0, 0, 70])
        for second in 200..<Int64(200 + 2 * Limits.Server.rateSeconds) { sample(12 + second, second: second) }
        let late = Timestamp(microseconds: Int64(199 + 2 * Limits.Server.rateSeconds) * 1_000_000)
        let full = try #require(rates.rates(seconds: Limits.Server.statsSeconds, now: late).first)
        #expect(full.records.allSatisfy { $0 == 1 })
    }

    @Test func noMoreTopicsThanTheBoundHaveRates() {
        let rates = TopicRates()
        let totals = (0..<Limits.Server.ratedTopics + 7).compactMap { index in
            TopicName(.default, "t\(index)").map { TopicAppended(topic: $0, records: 1, bytes: 1) }
        }
        rates.sample(totals, now: .zero)
        #expect(rates.rates(seconds: 1, now: .zero).count == Limits.Server.ratedTopics)
    }
}

import ApusCore
import ApusHTTP
import ApusJSON
import ApusTestSupport
import Testing

@testable import ApusLog

/// Deduplication and idempotency keys of several servers on one Kafka, from outside.
@Suite(
    .serialized, .enabled(if: KafkaBroker.isThere, Comment(rawValue: KafkaBroker.skipReason)),
    .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start servers, which needs root"))
struct NodeKeyTests {
    /// Behaviour 52: the owner is killed, another takes over, and the one that was killed comes back: none of them runs what was seen.
    @Test func anEventThatIsSentAgainIsNotRunAgainWhoeverTakesOver() throws {
        let site = try ManyNodesTests.Site(
            2,
            manifest: Functions.between(
                "passages", "embeddings", handler: "main:embed", trigger: ", dedup: {window: 1h}"))
        #expect(site.waitForShares(of: [0, 1], seconds: 40), "\(site.logs)")
        try site.publish(0..<20, by: 0)
        try site.publish(0..<20, by: 1)
        #expect(site.waitForAnswers(to: 0..<20, by: 0, seconds: 40), "\(site.logs)")
        // Answers come before the ledger: what is seen is what both have.
        #expect(try site.waitForPosition(40, seconds: 40), "\(site.logs)")
        let bound = ManyNodesTests.sessionSeconds + ManyNodesTests.resumeSeconds

        site.nodes[0].kill9()
        try site.publish(0..<25, by: 1)
        #expect(site.waitForAnswers(to: 0..<25, by: 1, seconds: bound), "\(site.logs)")
        #expect(site.waitForShares(of: [1], seconds: bound), "\(site.logs)")
        try site.publish(0..<26, by: 1)
        #expect(site.waitForAnswers(to: 0..<26, by: 1, seconds: 30), "\(site.logs)")

        try site.nodes[0].start()
        #expect(site.waitForShares(of: [0, 1], seconds: 60), "\(site.logs)")
        let skipped = site.skipped(by: 0) + site.skipped(by: 1)
        try site.publish(0..<30, by: 0)
        #expect(site.waitForAnswers(to: 0..<30, by: 0, seconds: 30), "\(site.logs)")
        #expect(
            waitUntil(seconds: 30) { site.skipped(by: 0) + site.skipped(by: 1) >= skipped + 26 }, "\(site.logs)")
        let twice = site.answers(by: 1).filter { $0.value != 1 }
        #expect(twice.isEmpty, "run more than once: \(twice)")
        #expect(site.nodes[1].log.contains("for what 'passages' of worker has seen"), "\(site.logs)")
    }

    /// A request under one key is accepted once, whichever node it is sent to, and through the loss of whoever decided it.
    @Test func aRequestUnderOneKeyIsAcceptedOnceByAllNodesTogether() throws {
        let site = try ManyNodesTests.Site(2)
        #expect(site.waitForShares(of: [0, 1], seconds: 40), "\(site.logs)")
        let callers = try site.nodes.map { try Caller($0) }
        func publish(_ node: Int, _ key: Int, _ body: String = "{}") throws -> (
            status: Int, repeated: Bool, body: String
        ) {
            let answer = try callers[node].send(
                "POST", "/v1/topics/passages/events",
                ["Content-Type": "application/json", "Idempotency-Key": "k\(key)"],
                body: body)
            return (Int(answer.status), answer.header("Apus-Repeated") == "true", answer.text)
        }
        // Among so many keys some are decided by each node.
        let first = try (0..<8).map { try publish($0 % 2, $0) }
        #expect(first.allSatisfy { $0.status == 202 && !$0.repeated }, "\(first)")
        for key in 0..<8 {
            let again = try publish((key + 1) % 2, key)
            #expect(again.status == 202 && again.repeated && again.body == first[key].body)
            #expect(try publish(key % 2, key, #"{"other": 1}"#).status == 409)
        }
        let accepted = try (0..<2).map { node in
            try callers[node].send(
                "POST", "/v1/functions/worker/invoke", ["Prefer": "respond-async", "Idempotency-Key": "call"],
                body: "{}"
            ).text
        }
        #expect(try JSONValue.parse(Array(accepted[0].utf8))["id"] == JSONValue.parse(Array(accepted[1].utf8))["id"])

        site.nodes[0].kill9()
        let bound = ManyNodesTests.sessionSeconds + ManyNodesTests.resumeSeconds
        for key in 0..<8 {
            var last: (status: Int, repeated: Bool, body: String) = (0, false, "")
            let isAnswered = waitUntil(seconds: bound) {
                last = (try? publish(1, key)) ?? last
                return last.status == 202
            }
            #expect(isAnswered && last.repeated && last.body == first[key].body, "key \(key): \(last) \(site.logs)")
        }
        #expect(waitUntil(seconds: 30) { site.nodes[1].consume("passages").count == 8 })
    }
}

extension ManyNodesTests.Site {
    /// Waits until the log knows of so many events of `passages` that the trigger is done with them.
    func waitForPosition(_ count: Offset, seconds: Double) throws -> Bool {
        let offsets = GroupOffsets(
            client: try KafkaClient(
                KafkaLogConfiguration(bootstrap: try KafkaBroker.bootstrap()),
                .positions(group: "\(self.name).reader"), name: "reader"))
        let places = (0..<4).map { GroupOffsets.Place(topic: "\(self.name).passages", partition: $0) }
        let group = GroupOffsets.Group(name: "\(self.name).apus.default.worker.passages", places: places)
        return waitUntil(seconds: seconds) {
            // A coordinator that moves is asked again.
            guard let found = try? offsets.committed([group]).first?.get() else { return false }
            return found.reduce(0) { $0 + max(0, $1.offset) } >= count
        }
    }

    /// Events that a node passed over because they came again.
    func skipped(by node: Int) -> Int {
        let text = (try? Caller(self.nodes[node]).send("GET", "/metrics").text) ?? ""
        return text.split(separator: "\n").filter {
            $0.hasPrefix("apus_trigger_skipped_total{") && $0.contains(#"reason="duplicate""#)
        }.compactMap { $0.split(separator: " ").last.flatMap { Double($0) } }.reduce(0) { $0 + Int($1) }
    }
}

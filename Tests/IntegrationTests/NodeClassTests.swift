import ApusHTTP
import ApusJSON
import ApusTestSupport
import Testing

/// Servers of different classes on one Kafka, from outside.
@Suite(
    .serialized, .enabled(if: KafkaBroker.isThere, Comment(rawValue: KafkaBroker.skipReason)),
    .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start servers, which needs root"))
struct NodeClassTests {
    private static func manifest(_ workClass: String) -> String {
        Functions.between("passages", "embeddings", handler: "main:embed").replacing(
            "resources: {memory: 128Mi}", with: "resources: {memory: 128Mi, class: \(workClass)}")
    }

    /// What a class has to do that no server has waits, and every server says so.
    @Test func whatWaitsForAClassThatNoServerHasIsShownWithItsReason() throws {
        let site = try ManyNodesTests.Site(1, manifest: Self.manifest("fast")) { node in
            ["APUS_LOG_KAFKA_CLASSES": node == 0 ? "cpu" : "fast"]
        }
        try site.publish(0..<5, by: 0)
        func shown(_ node: Int) -> JSONValue? {
            let result = site.nodes[node].apus("get", "subscriptions", "worker", "--partitions", "--output", "json")
            guard let json = try? JSONValue.parse(Array(result.output.utf8)) else { return nil }
            return (json["items"]?.array ?? json.array)?.first
        }
        #expect(waitUntil(seconds: 30) { shown(0)?["lag"]?.integer == 5 }, "\(shown(0).debugDescription) \(site.logs)")
        let waiting = try #require(shown(0))
        #expect(waiting["state"]?.string == "blocked" && waiting["oldest"]?.string != nil, "\(waiting)")
        #expect(waiting["blocked"]?.array?.compactMap { $0["code"]?.string } == ["no_server"], "\(waiting)")
        let places = waiting["partitions"]?.array ?? []
        #expect(places.compactMap { $0["lag"]?.integer }.reduce(0, +) == 5, "\(waiting)")
        let table = site.nodes[0].apus("get", "subscriptions").output
        #expect(table.contains("blocked") && table.contains("no server has the class 'fast'"), "\(table)")

        // One comes that has it: nothing waits any more, and nobody is missing.
        try site.add(1) { _ in ["APUS_LOG_KAFKA_CLASSES": "fast"] }
        #expect(site.waitForAnswers(to: 0..<5, by: 1, seconds: 60), "\(site.logs)")
        #expect(
            waitUntil(seconds: 30) { shown(1)?["lag"]?.integer == 0 && shown(1)?["state"]?.string == "caught_up" },
            "\(shown(1).debugDescription) \(site.logs)")
        #expect(shown(0)?["blocked"]?.array?.isEmpty == true, "\(shown(0).debugDescription)")
    }

    /// A function runs on servers of its class only, and goes over to those of another with a deploy, which repeats nothing.
    @Test func aFunctionThatChangesItsClassMovesWithoutLoss() throws {
        let site = try ManyNodesTests.Site(2, manifest: Self.manifest("cpu")) { node in
            ["APUS_LOG_KAFKA_CLASSES": node == 0 ? "cpu" : "fast"]
        }
        #expect(waitUntil(seconds: 40) { site.working(0) == 16 && site.working(1) == 16 }, "\(site.logs)")
        try site.publish(0..<40, by: 0)
        #expect(site.waitForAnswers(to: 0..<40, by: 0, seconds: 40), "\(site.logs)")
        #expect(site.workers(0) > 0 && site.workers(1) == 0)
        // Whoever has not its class passes a call on, and its caller gets the answer.
        let caller = try Caller(site.nodes[1])
        let answer = try caller.send("POST", "/v1/functions/worker/invoke", ["Apus-Timeout": "40s"], body: "{}")
        #expect(answer.status == 200, "\(answer.text) \(site.logs)")
        #expect(site.workers(1) == 0)

        try site.publish(40..<80, by: 0)
        site.nodes[1].deploy(
            try site.nodes[1].write("worker", manifest: Self.manifest("fast"), files: ["main.py": ManyNodesTests.code]))
        try site.publish(80..<120, by: 0)
        #expect(site.waitForAnswers(to: 0..<120, by: 0, seconds: 60), "\(site.logs)")
        #expect(site.workers(1) > 0)
        #expect(waitUntil(seconds: 40) { site.workers(0) == 0 })
        let moved = site.answers(by: 0).filter { $0.value > 1 }
        #expect(moved.isEmpty, "a move repeats nothing: \(moved)")

        // The servers of its class are gone: it goes back to those that are there.
        site.nodes[1].kill9()
        try site.publish(120..<160, by: 0)
        site.nodes[0].deploy(
            try site.nodes[0].write("back", manifest: Self.manifest("cpu"), files: ["main.py": ManyNodesTests.code]))
        #expect(site.waitForAnswers(to: 0..<160, by: 0, seconds: 60), "\(site.logs)")
        // What a killed server answered last may come once more; what it never had, or others answered, does not.
        let twice = site.answers(by: 0).filter { $0.value > ((40..<120).contains($0.key) ? 2 : 1) }
        #expect(twice.isEmpty, "answered too often: \(twice)")
        let doctor = site.nodes[0].apus("doctor").output
        #expect(doctor.contains("shares cpu") && doctor.contains("node-0 holds"), "\(doctor)")
    }
}

extension ManyNodesTests.Site {
    func workers(_ node: Int) -> Int {
        let result = self.nodes[node].apus("get", "instances", "--output", "json")
        return (try? JSONValue.parse(Array(result.output.utf8)))?["items"]?.array?.count
            ?? (try? JSONValue.parse(Array(result.output.utf8)))?.array?.count ?? -1
    }
}

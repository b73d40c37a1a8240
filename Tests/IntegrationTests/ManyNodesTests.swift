import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// Several servers that share the work of one Kafka, from outside.
@Suite(
    .serialized, .enabled(if: KafkaBroker.isThere, Comment(rawValue: KafkaBroker.skipReason)),
    .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start servers, which needs root"))
struct ManyNodesTests {
    /// The shortest that a broker allows by default.
    static let sessionSeconds = 6.0
    /// Of what may pass beside the session until the work of a node that is gone goes on.
    static let resumeSeconds = 15.0

    static let code = """
        def embed(event, context):
            return {"id": event.id}
        """

    final class Site {
        var nodes: [TestServer] = []
        private let manifest: String
        private let code: String
        private let keyFile: SharedKeyFile
        let name = "it\(getpid())-\(UInt32.random(in: 0...UInt32.max))"

        /// The first deploys; the others find it on the log, and its bundle in their folders.
        /// - Parameters:
        ///   - manifest: of the function `embed` in `main.py`.
        ///   - code: of `main.py`.
        ///   - variables: of each server's environment beside those that make them nodes.
        init(
            _ count: Int, manifest: String = Functions.between("passages", "embeddings", handler: "main:embed"),
            code: String = ManyNodesTests.code, variables: (Int) -> [String: String] = { _ in [:] }
        ) throws {
            self.manifest = manifest
            self.code = code
            self.keyFile = try SharedKeyFile()
            for index in 0..<count { try self.add(index, variables: variables) }
        }

        func add(_ index: Int, variables: (Int) -> [String: String]) throws {
            let node = try TestServer(
                arguments: ["--kafka", try KafkaBroker.bootstrap(), "--key-file", self.keyFile.path],
                variables: [
                    "APUS_LOG_KAFKA_CLUSTER": self.name, "APUS_LOG_KAFKA_TOPIC_PREFIX": "\(self.name).",
                    "APUS_LOG_KAFKA_SESSION": "\(Int(ManyNodesTests.sessionSeconds))s",
                    "APUS_LOG_KAFKA_NODE": "node-\(index)",
                ].merging(variables(index)) { $1 })
            if index > 0 { try self.copyBundles(to: node) }
            try node.start()
            self.nodes.append(node)
            if index == 0 { try self.deploy() }
        }

        private func deploy() throws {
            self.nodes[0].deploy(
                try self.nodes[0].write("worker", manifest: self.manifest, files: ["main.py": self.code]))
        }

        private func copyBundles(to node: TestServer) throws {
            mkdir(node.data, 0o700)
            let copy = try ChildProcess(
                "/bin/cp", ["-a", "\(self.nodes[0].data)/bundles", "\(self.nodes[0].data)/layers", node.data],
                in: "/var/tmp")
            #expect(copy.wait(seconds: 30) == 0)
        }

        /// How many shares a node works.
        func working(_ index: Int) -> Int {
            let text = ManyNodesTests.metrics(self.nodes[index])
            let line = text.split(separator: "\n").first {
                $0.hasPrefix("apus_shares{") && $0.contains(#"state="working""#)
            }
            return line?.split(separator: " ").last.flatMap { Double($0) }.map { Int($0) } ?? 0
        }

        /// Every share is worked by one of these nodes.
        func waitForShares(of nodes: [Int], seconds: Double) -> Bool {
            waitUntil(seconds: seconds) {
                let held = nodes.map { self.working($0) }
                return held.reduce(0, +) == 16 && held.allSatisfy { $0 > 0 }
            }
        }

        func publish(_ ids: Range<Int>, by node: Int) throws {
            let lines = ids.map {
                #"{"id": "e\#($0)", "source": "/test", "type": "t", "key": "k\#($0)", "data": {"n": \#($0)}}"#
            }
            let file = "\(self.nodes[node].folder)/events.ndjson"
            try writeFile(file, lines.joined(separator: "\n"))
            let result = self.nodes[node].apus("publish", "passages", "--file", file)
            #expect(result.status == 0, "\(result.errors)")
        }

        /// How often each event was answered.
        func answers(by node: Int) -> [Int: Int] {
            var counts: [Int: Int] = [:]
            for line in self.nodes[node].consume("embeddings") {
                guard let start = line.firstRange(of: #""id":"e"#) ?? line.firstRange(of: #""id": "e"#) else {
                    continue
                }
                if let id = Int(line[start.upperBound...].prefix { $0.isNumber }) { counts[id, default: 0] += 1 }
            }
            return counts
        }

        func waitForAnswers(to ids: Range<Int>, by node: Int, seconds: Double) -> Bool {
            waitUntil(seconds: seconds) {
                let answers = self.answers(by: node)
                return ids.allSatisfy { answers[$0] != nil }
            }
        }

        func accept(by node: Int) throws -> String {
            let result = self.nodes[node].apus("invoke", "worker", "--async", "--data", "{}")
            try #require(result.status == 0, "\(result.errors)")
            return String(result.output.filter { !$0.isNewline })
        }

        func state(_ id: String, by node: Int) -> String? {
            let result = self.nodes[node].apus("get", "invocation", id, "--output", "json")
            return (try? JSONValue.parse(Array(result.output.utf8)))?["state"]?.string
        }

        var logs: String { self.nodes.map(\.log).joined(separator: "\n----\n") }
    }

    private static func metrics(_ node: TestServer) -> String {
        (try? Caller(node).send("GET", "/metrics").text) ?? ""
    }

    /// Behaviours 24, 26, 28: killed, stopped and woken in turn under load, nothing is lost, and who was away decides nothing.
    @Test func nodesThatAreKilledAndStoppedInTurnLoseNothing() throws {
        let site = try Site(
            3,
            manifest: Functions.between(
                "passages", "embeddings", handler: "main:embed", trigger: ", delivery: exactly-once"))
        #expect(site.waitForShares(of: [0, 1, 2], seconds: 40), "\(site.logs)")
        try site.publish(0..<60, by: 0)
        #expect(site.waitForAnswers(to: 0..<60, by: 0, seconds: 60), "\(site.logs)")

        // One is killed and does not come back.
        try site.publish(60..<120, by: 1)
        site.nodes[1].kill9()
        let bound = Self.sessionSeconds + Self.resumeSeconds
        #expect(site.waitForAnswers(to: 0..<120, by: 0, seconds: bound), "\(site.logs)")
        #expect(site.waitForShares(of: [0, 2], seconds: bound), "\(site.logs)")

        // One hangs, and wakes when its work is another's.
        try site.publish(120..<180, by: 0)
        site.nodes[2].process?.signal(SIGSTOP)
        #expect(site.waitForAnswers(to: 0..<180, by: 0, seconds: bound), "\(site.logs)")
        #expect(site.waitForShares(of: [0], seconds: bound), "\(site.logs)")
        site.nodes[2].process?.signal(SIGCONT)
        try site.publish(180..<240, by: 0)
        #expect(site.waitForAnswers(to: 0..<240, by: 0, seconds: bound), "\(site.logs)")
        #expect(site.waitForShares(of: [0, 2], seconds: 60), "\(site.logs)")

        // One comes back.
        try site.nodes[1].start()
        #expect(site.waitForShares(of: [0, 1, 2], seconds: 60), "\(site.logs)")
        try site.publish(240..<300, by: 1)
        #expect(site.waitForAnswers(to: 0..<300, by: 1, seconds: 60), "\(site.logs)")
        let answers = site.answers(by: 0)
        #expect(answers.keys.sorted() == Array(0..<300))
        // A reply and the position behind it are one transaction, and the brokers refuse that of the node that hung.
        let twice = answers.filter { $0.value > 1 }
        #expect(twice.isEmpty, "answered more than once: \(twice)")
    }

    /// Whoever owns its queue's share runs it; every node can say how it ended.
    @Test func anInvocationAcceptedOnOneNodeIsAnsweredByAny() throws {
        let site = try Site(2)
        #expect(site.waitForShares(of: [0, 1], seconds: 40), "\(site.logs)")
        let first = try (0..<4).map { try site.accept(by: $0 % 2) }
        for node in [0, 1] {
            #expect(
                waitUntil(seconds: 60) { first.allSatisfy { site.state($0, by: node) == "succeeded" } }, "\(site.logs)")
        }
        // Its owner may be the one that is killed: the other takes the queue over.
        let second = try (0..<4).map { _ in try site.accept(by: 1) }
        site.nodes[0].kill9()
        let bound = Self.sessionSeconds + Self.resumeSeconds
        #expect(
            waitUntil(seconds: bound) { second.allSatisfy { site.state($0, by: 1) == "succeeded" } }, "\(site.logs)")
    }

    /// Behaviour 28: restarts one after the other under a stream of events.
    @Test func restartsInTurnUnderLoadLoseNothing() throws {
        let site = try Site(2)
        #expect(site.waitForShares(of: [0, 1], seconds: 40), "\(site.logs)")
        var published = 0
        for round in 0..<4 {
            let (here, gone) = (round % 2, (round + 1) % 2)
            try site.publish(published..<published + 40, by: here)
            published += 40
            if round < 2 { site.nodes[gone].kill9() } else { #expect(site.nodes[gone].terminate() == 0) }
            try site.publish(published..<published + 40, by: here)
            published += 40
            try site.nodes[gone].start()
        }
        let bound = Self.sessionSeconds + Self.resumeSeconds
        #expect(site.waitForAnswers(to: 0..<published, by: 0, seconds: bound), "\(site.logs)")
        let answers = site.answers(by: 0)
        #expect(answers.count == published)
        // At least once: a kill may repeat its last moments, a server that ends in peace repeats nothing.
        #expect(answers.filter { $0.key >= 160 }.allSatisfy { $0.value == 1 }, "\(answers)")
        #expect(answers.values.allSatisfy { $0 <= 3 }, "\(answers)")
    }

    /// Behaviour 65: each server gives its own partitions of the stretch, and it ends when all of them have.
    @Test func aReplayOverSeveralServersEnds() throws {
        let site = try Site(2)
        #expect(site.waitForShares(of: [0, 1], seconds: 40), "\(site.logs)")
        try site.publish(0..<80, by: 0)
        #expect(site.waitForAnswers(to: 0..<80, by: 0, seconds: 30), "\(site.logs)")
        let replay = site.nodes[0].apus(
            "replay", "worker", "--from", "1h", "--rate", "unlimited", "--wait", seconds: 60)
        #expect(replay.status == 0 && replay.output.hasSuffix("finished\n"), "\(replay.output)\(replay.errors)")
        #expect(site.answers(by: 1).values.allSatisfy { $0 == 2 }, "each once live and once again")
        // The other server knows how it ended.
        #expect(waitUntil(seconds: 10) { site.nodes[1].apus("replay", "list", "worker").output.contains("finished") })
    }
}

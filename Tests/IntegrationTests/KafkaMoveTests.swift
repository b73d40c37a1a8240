import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// What moves between machines by way of Kafka: the code of functions, and all of a single machine.
@Suite(
    .serialized, .enabled(if: KafkaBroker.isThere, Comment(rawValue: KafkaBroker.skipReason)),
    .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct KafkaMoveTests {
    /// Servers of one Apus on the broker, each with a data directory of its own.
    private struct Cluster {
        let name = "mv\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        let bootstrap: String

        let keyFile: SharedKeyFile

        init() throws {
            self.bootstrap = try KafkaBroker.bootstrap()
            self.keyFile = try SharedKeyFile()
        }

        func server() throws -> TestServer {
            try TestServer(
                arguments: ["--kafka", self.bootstrap, "--key-file", self.keyFile.path],
                variables: [
                    "APUS_LOG_KAFKA_CLUSTER": self.name, "APUS_LOG_KAFKA_TOPIC_PREFIX": "\(self.name).",
                    "APUS_LOG_KAFKA_SESSION": "6s",
                ])
        }

        /// The same settings, for a command.
        func writeConfiguration(_ path: String) throws {
            try writeFile(path, "log:\n  kafka:\n    cluster: \(self.name)\n    topicPrefix: \(self.name).\n")
        }
    }

    private static func texts(_ server: TestServer, _ topic: String) -> [String] {
        server.consume(topic).compactMap { (try? JSONValue.parse(Array($0.utf8)))?["data"]?["text"]?.string }
    }

    private static func deadLetters(_ server: TestServer) throws -> [String] {
        let json = try JSONValue.parse(
            Array(server.apus("dead", "list", "--state", "all", "--output", "json").output.utf8))
        return (json["items"]?.array ?? json.array ?? []).map {
            "\($0["id"]?.string ?? "") \($0["state"]?.string ?? "")"
        }.sorted()
    }

    @Test func aServerWithAnEmptyDataDirectoryServesWhatAnotherDeployed() throws {
        let cluster = try Cluster()
        let first = try cluster.server()
        try first.start()
        // More than one piece.
        let noise = (0..<1_300_000).map { _ in "abcdefgh".randomElement() ?? "a" }
        first.deploy(
            try first.write(
                "worker", manifest: Functions.between("in", "out"),
                files: ["main.py": Functions.echo, "noise.txt": String(noise)]))
        #expect(first.apus("publish", "in", "--data", #"{"text": "first"}"#).status == 0)
        #expect(waitUntil(seconds: 30) { Self.texts(first, "out") == ["first"] }, "\(first.log)")
        #expect(first.terminate() == 0)

        let second = try cluster.server()
        try second.start()
        #expect(second.apus("publish", "in", "--data", #"{"text": "second"}"#).status == 0)
        // The shares of the first lie still until its session is over.
        #expect(waitUntil(seconds: 60) { Self.texts(second, "out").sorted() == ["first", "second"] }, "\(second.log)")
        // Deployed again, it is the same revision, whose bundle is there.
        #expect(second.apus("sweep").status == 0)
        #expect(second.terminate() == 0)
    }

    /// Exactly once, so that a second answer is a fault of the move: without, a broker that stalls for half a session gets outputs again.
    private static let manifest =
        Functions.between(
            "in", "out",
            trigger: ", delivery: exactly-once, retry: {attempts: 10, initial: 1s, max: 2s}, onExhausted: deadLetter")
            + """

            ---
            apiVersion: apus.dev/v1
            kind: Topic
            metadata: {name: state}
            spec: {compact: true}
            ---
            apiVersion: apus.dev/v1
            kind: Topic
            metadata: {name: later}
            ---
            apiVersion: apus.dev/v1
            kind: Function
            metadata: {name: sleeper}
            spec:
              runtime: python3
              handler: main:handle
              source: .
              resources: {memory: 128Mi}
              triggers:
                - {topic: later, replyTo: out, delivery: exactly-once}
            """
    private static let code = """
        import apus, os, time

        def handle(event, context):
            text = event.data["text"]
            if text.startswith("dead"):
                raise apus.Reject("never")
            if text.startswith("retry") and context.attempt < 6:
                raise apus.Retry(1)
            return {"text": text, "attempt": context.attempt}
        """

    @Test func aBackupUnderWorkGoesOnInAnEmptyClusterWhereItStood() throws {
        let old = try TestServer()
        try old.start()
        old.deploy(try old.write("worker", manifest: Self.manifest, files: ["main.py": Self.code]))
        #expect(old.apus("pause", "sleeper").status == 0)
        for index in 0..<6 {
            #expect(old.apus("publish", "later", "--data", #"{"text": "later-\#(index)"}"#).status == 0)
            #expect(
                old.apus("publish", "state", "--key", "k\(index % 2)", "--data", #"{"text": "\#(index)"}"#).status == 0)
        }
        var sent: [String] = []
        for index in 0..<40 {
            let kind = index % 10 == 3 ? "dead" : index % 10 == 7 ? "retry" : "good"
            sent.append("\(kind)-\(index)")
        }
        try writeFile(
            "\(old.folder)/events.ndjson", sent.map { #"{"text": "\#($0)"}"# }.joined(separator: "\n"))
        #expect(old.apus("publish", "in", "--file", "\(old.folder)/events.ndjson").status == 0)
        // The good ones are settled, those to be retried are between their attempts, the dead ones lie aside.
        let good = Set(sent.filter { $0.hasPrefix("good") })
        #expect(waitUntil(seconds: 30) { good.isSubset(of: Self.texts(old, "out")) }, "\(old.log)")
        #expect(waitUntil(seconds: 30) { (try? Self.deadLetters(old).count) == 4 })
        let dropped = try #require(try Self.deadLetters(old).first?.split(separator: " ").first)
        #expect(old.apus("dead", "drop", String(dropped)).status == 0)
        let file = "\(old.folder)/now.backup"
        #expect(old.apus("backup", file).status == 0)
        let dead = try Self.deadLetters(old)
        let answered = Self.texts(old, "out")
        old.kill9()

        let cluster = try Cluster()
        let new = try cluster.server()
        let settings = "\(old.folder)/apus.yaml"
        try cluster.writeConfiguration(settings)
        let restore = old.apus(
            "restore", file, "--kafka", cluster.bootstrap, "--config", settings, "--key-file", cluster.keyFile.path,
            seconds: 120)
        #expect(restore.status == 0, "\(restore.errors)")
        let again = old.apus(
            "restore", file, "--kafka", cluster.bootstrap, "--config", settings, "--key-file", cluster.keyFile.path)
        #expect(again.status == 1 && again.errors.contains("conflict"), "\(again.errors)")

        try new.start()
        let wanted = sent.filter { !$0.hasPrefix("dead") }.sorted()
        #expect(waitUntil(seconds: 60) { Self.texts(new, "out").count >= wanted.count }, "\(new.log)")
        #expect(Self.texts(new, "out").sorted() == wanted, "each is answered once; \(answered.count) were before")
        #expect(Self.texts(new, "state").sorted() == ["4", "5"])
        #expect(try Self.deadLetters(new) == dead, "dead letters keep their ids and what was decided about them")
        let open = try #require(dead.first { $0.hasSuffix(" open") }?.split(separator: " ").first)
        #expect(new.apus("dead", "show", String(open)).status == 0)
        // It was paused, and goes on where it stood.
        #expect(new.apus("resume", "sleeper").status == 0)
        let later = (0..<6).map { "later-\($0)" }
        #expect(
            waitUntil(seconds: 60) { Self.texts(new, "out").filter { $0.hasPrefix("later") }.sorted() == later },
            "\(new.log)")
        #expect(new.apus("publish", "in", "--data", #"{"text": "after"}"#).status == 0)
        #expect(waitUntil(seconds: 30) { Self.texts(new, "out").contains("after") })
        #expect(Set(Self.texts(new, "out")).count == Self.texts(new, "out").count, "none twice")
        #expect(new.terminate() == 0)
    }
}

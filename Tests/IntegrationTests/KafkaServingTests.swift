import ApusTestSupport
import Glibc
import Testing

/// A server on a real Kafka, from outside.
@Suite(
    .serialized, .enabled(if: KafkaBroker.isThere, Comment(rawValue: KafkaBroker.skipReason)),
    .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct KafkaServingTests {
    private static func server(_ variables: [String: String] = [:]) throws -> TestServer {
        let name = "it\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        return try TestServer(
            arguments: ["--kafka", try KafkaBroker.bootstrap()],
            variables: variables.merging(
                ["APUS_LOG_KAFKA_CLUSTER": name, "APUS_LOG_KAFKA_TOPIC_PREFIX": "\(name)."]) { $1 })
    }

    @Test func aServerWithDevicesAndWithoutTheirClassSaysSo() throws {
        let server = try Self.server(ColdAndHot.variables)
        try server.start()
        #expect(server.log.contains("add gpu to `log.kafka.classes`"), "\(server.log)")
    }

    /// No partition is paused for it: it reads on its own what it missed.
    @Test func aFunctionWithoutRoomHoldsUpNobodyOnItsPartitionOnKafka() throws {
        let server = try Self.server(ColdAndHot.variables.merging(["APUS_LOG_KAFKA_CLASSES": "cpu,gpu"]) { $1 })
        try server.start()
        try ColdAndHot.check(server)
    }

    @Test func anEventOnATopicIsAnsweredOnTheReplyTopicAndIsThereAfterARestart() throws {
        let server = try Self.server()
        try server.start()
        server.deploy(
            try server.write("worker", manifest: Functions.between("in", "out"), files: ["main.py": Functions.echo]))
        #expect(server.apus("publish", "in", "--data", #"{"text": "first"}"#).status == 0)
        #expect(waitUntil(seconds: 30) { server.consume("out").count == 1 }, "\(server.log)")
        #expect(server.terminate() == 0, "\(server.log)")
        let log = try readDirectory(server.data)
        #expect(!log.contains("log.mdb"))

        try server.start()
        #expect(server.apus("get", "functions").output.contains("worker"))
        #expect(server.consume("out").count == 1)
        #expect(server.apus("publish", "in", "--data", #"{"text": "second"}"#).status == 0)
        #expect(waitUntil(seconds: 30) { server.consume("out").count == 2 }, "\(server.log)")
        let backup = server.apus("backup", "\(server.folder)/backup")
        #expect(backup.status != 0)
        #expect(backup.errors.contains("not_yet_supported"))
    }

    /// Killed while it works: what was acknowledged is answered, each passage once, since a reply and the position behind it are one
    /// transaction.
    /// Behaviour 12.
    @Test func killedAtRandomMomentsItAnswersEachPassageExactlyOnce() throws {
        var random = SeededGenerator(seed: 20_261_122)
        let server = try Self.server()
        try server.start()
        let code = """
            def embed(event, context):
                return {"id": event.id}
            """
        let manifest = Functions.between(
            "passages", "embeddings", handler: "main:embed", trigger: ", delivery: exactly-once")
        server.deploy(try server.write("worker", manifest: manifest, files: ["main.py": code]))
        let passages = Array(try Passages.fromLicences().prefix(240))
        let step = 80
        for start in stride(from: 0, to: passages.count, by: step) {
            let part = passages[start..<min(start + step, passages.count)]
            try writeFile("\(server.folder)/part.ndjson", part.joined(separator: "\n"))
            let publish = server.apus("publish", "passages", "--file", "\(server.folder)/part.ndjson")
            #expect(publish.status == 0, "\(publish.errors)")
            guard publish.status == 0 else { return }
            usleep(UInt32.random(in: 0...300_000, using: &random))
            server.kill9()
            try server.start()
        }
        #expect(waitUntil(seconds: 90) { server.consume("embeddings").count >= passages.count }, "\(server.log)")
        let results = server.consume("embeddings")
        #expect(results.count == passages.count)
        for index in passages.indices {
            let times = results.count { $0.contains(#""p\#(index)""#) }
            #expect(times == 1, "passage \(index) has \(times) answers")
        }
    }

    /// At least once, a kill repeats what was replied in its last moment: nothing is lost, nothing is answered more often than it was killed,
    /// and a server that ends in peace repeats nothing.
    /// Behaviour 12.
    @Test func killedAtRandomMomentsItRepeatsNoMoreThanItsLastMoments() throws {
        var random = SeededGenerator(seed: 20_261_123)
        let server = try Self.server()
        try server.start()
        let code = """
            def embed(event, context):
                return {"id": event.id}
            """
        let manifest = Functions.between("passages", "embeddings", handler: "main:embed")
        server.deploy(try server.write("worker", manifest: manifest, files: ["main.py": code]))
        let passages = Array(try Passages.fromLicences().prefix(240))
        let kills = 2
        for round in 0...kills {
            let part = passages[round * 80..<(round + 1) * 80]
            try writeFile("\(server.folder)/part.ndjson", part.joined(separator: "\n"))
            let publish = server.apus("publish", "passages", "--file", "\(server.folder)/part.ndjson")
            #expect(publish.status == 0, "\(publish.errors)")
            guard publish.status == 0 else { return }
            if round < kills {
                usleep(UInt32.random(in: 0...300_000, using: &random))
                server.kill9()
            } else {
                #expect(server.terminate() == 0, "\(server.log)")
            }
            try server.start()
        }
        func times(_ index: Int, _ results: [String]) -> Int { results.count { $0.contains(#""p\#(index)""#) } }
        #expect(
            waitUntil(seconds: 90) {
                let results = server.consume("embeddings")
                return passages.indices.allSatisfy { times($0, results) > 0 }
            }, "\(server.log)")
        let results = server.consume("embeddings")
        for index in passages.indices {
            let most = index < kills * 80 ? 1 + kills : 1
            let found = times(index, results)
            #expect((1...most).contains(found), "passage \(index) has \(found) answers")
        }
        // What was answered a while before the last kill is settled by now.
        #expect(server.terminate() == 0, "\(server.log)")
        try server.start()
        #expect(server.apus("publish", "passages", "--data", #"{"text": "last"}"#).status == 0)
        #expect(waitUntil(seconds: 60) { server.consume("embeddings").count > results.count }, "\(server.log)")
        #expect(server.consume("embeddings").count == results.count + 1)
    }

    private func readDirectory(_ path: String) throws -> [String] {
        var names: [String] = []
        let directory = try #require(opendir(path))
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            names.append(
                withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                })
        }
        return names
    }
}

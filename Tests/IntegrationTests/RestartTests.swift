import ApusTestSupport
import Glibc
import Testing

@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct RestartTests {
    /// `make soak` runs many more.
    static let seeds: [UInt64] = Array(1...(getenv("APUS_SOAK") == nil ? 3 : 60))

    @Test func everythingIsFoundAgainWithoutTheProjection() throws {
        let server = try TestServer()
        try server.start()
        server.deploy(
            try server.write("worker", manifest: Functions.between("in", "out"), files: ["main.py": Functions.echo]))
        let before = server.apus("get", "functions", "--output", "json").output
        #expect(server.terminate() == 0)
        for file in ["state.db", "state.db-wal", "state.db-shm"] { unlink("\(server.data)/\(file)") }
        try server.start()
        #expect(server.apus("get", "functions", "--output", "json").output == before)
        #expect(server.apus("get", "topics").output.contains("out"))
        #expect(server.apus("publish", "in", "--data", #"{"text": "again"}"#).status == 0)
        #expect(waitUntil(seconds: 20) { server.consume("out").count == 1 })
    }

    /// The licence texts as passages, a function that answers each, and a server that is killed again and again while it works:
    /// what was acknowledged is answered exactly once. The topic is not compacted, so a second append could not hide.
    /// Behaviours 12, 50.
    @Test(arguments: Self.seeds) func killedAtRandomMomentsItAnswersEachPassageExactlyOnce(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let server = try TestServer()
        try server.start()
        let code = """
            import hashlib
            def embed(event, context):
                digest = hashlib.sha256(event.data["text"].encode()).digest()
                return {"id": event.id, "vector": [b / 255 for b in digest[:16]]}
            """
        let manifest = Functions.between("passages", "embeddings", handler: "main:embed")
        server.deploy(try server.write("worker", manifest: manifest, files: ["main.py": code]))

        let passages = try Passages.fromLicences()
        #expect(passages.count > 200)
        var published = 0
        var kills = 0
        let step = passages.count / 6 + 1
        while published < passages.count {
            let part = passages[published..<min(published + step, passages.count)]
            try writeFile("\(server.folder)/part.ndjson", part.joined(separator: "\n"))
            let publish = server.apus("publish", "passages", "--file", "\(server.folder)/part.ndjson")
            #expect(publish.status == 0, "\(publish.errors)")
            guard publish.status == 0 else { return }
            published += part.count
            usleep(UInt32.random(in: 0...200_000, using: &random))
            server.kill9()
            kills += 1
            try server.start()
        }
        #expect(kills >= 5)
        #expect(waitUntil(seconds: 60) { server.consume("embeddings").count >= passages.count })
        let results = server.consume("embeddings")
        #expect(results.count == passages.count)
        for index in passages.indices {
            let id = #""p\#(index)""#
            let times = results.count { $0.contains(id) }
            #expect(times == 1, "passage \(index) has \(times) answers")
        }
        // The ends of the partitions count every append, also one that something took away again.
        #expect(try Passages.endOffsets(server, topic: "embeddings") == passages.count)
    }
}

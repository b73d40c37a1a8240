import ApusJSON
import ApusTestSupport
import Testing

/// The search for tools beside a function that embeds texts. The embedder here knows two meanings, and takes as long to start as it is told.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct ToolMeaningTests {
    private static func tool(_ name: String, about: String) -> String {
        """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: \(name)}
        spec:
          description: \(about)
          runtime: python3
          handler: main:handle
          source: .
          tool: {name: \(name.replacing("-", with: "_")), input: {type: object}}
        """
    }

    private static let embedder = """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: embed-text}
        spec:
          runtime: python3
          handler: main:embed
          source: .
          timeout: 30s
          scale: {min: 0, max: 1, idle: 300s}
        """

    private static let code = """
        WEATHER = {"weather", "umbrella", "forecast"}

        def embed(event, context):
            words = set(event.data["text"].lower().replace(".", " ").replace("?", " ").split())
            return {"vector": [1.0 if words & WEATHER else 0.1, 0.1 if words & WEATHER else 1.0, 0.0]}
        """

    private static func search(_ server: TestServer, _ question: String) throws -> (names: [String], ranking: String) {
        let result = server.apus("tools", "search", question, "--output", "json")
        #expect(result.status == 0, "\(result.errors)")
        let answer = try JSONValue.parse(result.output)
        return (
            (answer["items"]?.array ?? []).compactMap { $0["name"]?.string }, answer["ranking"]?.string ?? result.output
        )
    }

    @Test func meaningIsAddedOnceTheEmbedderIsWarmAndNeverWaitedFor() throws {
        let server = try TestServer()
        try server.start()
        for (name, about) in [("place-order", "Orders goods."), ("sky-report", "The weather at a place.")] {
            server.deploy(
                try server.write(
                    name, manifest: Self.tool(name, about: about),
                    files: ["main.py": "def handle(event, context):\n    return {}\n"]))
        }
        let without = try Self.search(server, "do I need an umbrella")
        #expect(without.names.isEmpty && without.ranking == "lexical")
        server.deploy(try server.write("embed-text", manifest: Self.embedder, files: ["main.py": Self.code]))
        var found = without
        let isHybrid = waitUntil(seconds: 60) {
            found = (try? Self.search(server, "do I need an umbrella")) ?? found
            return found.ranking == "hybrid"
        }
        #expect(isHybrid && found.names.first == "sky_report", "\(found)")

        // A worker that takes a minute to start: the answer is there at once, by words alone.
        let slow = "import time\ntime.sleep(60)\n" + Self.code
        let redeploy = try server.write("embed-text", manifest: Self.embedder, files: ["main.py": slow])
        #expect(server.apus("deploy", redeploy).status == 0)
        let byWords = waitUntil(seconds: 30) { (try? Self.search(server, "weather"))?.ranking == "lexical" }
        #expect(byWords)
        let cold = try Self.search(server, "weather")
        #expect(cold.names == ["sky_report"] && cold.ranking == "lexical", "\(cold)")
    }
}

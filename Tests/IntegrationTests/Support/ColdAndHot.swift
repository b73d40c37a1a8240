import ApusJSON
import ApusTestSupport
import Testing

/// Two functions on one partition: one that is ready, and one that cannot start because its only device gives no room.
enum ColdAndHot {
    static let variables = [
        "APUS_POOL_DEVICES_SIMULATE": "[{kind: small, memory: 4Gi, hostToDevice: 20Gi, deviceToHost: 20Gi, disk: 20Gi}]"
    ]
    private static let device = "simulated-small-0"
    /// Of each of two times.
    private static let events = 400
    /// Together more than is read ahead of a trigger: a reader that waited for the slower one would stop before the end.
    private static let padding = String(repeating: "x", count: 40_000)
    private static let code = """
        def handle(event, context):
            return {"number": event.data["number"]}
        """

    private static func manifest(_ name: String, _ resources: String) -> String {
        """
        apiVersion: apus.dev/v1
        kind: Topic
        metadata: {name: shared}
        spec: {partitions: 1}
        ---
        apiVersion: apus.dev/v1
        kind: Topic
        metadata: {name: of-\(name)}
        spec: {partitions: 1}
        ---
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: \(name)}
        spec:
          runtime: python3
          handler: main:handle
          source: .
          resources: {memory: 128Mi\(resources)}
          scale: {max: 1}
          triggers:
            - {topic: shared, replyTo: of-\(name)}
        """
    }

    private static func numbers(_ server: TestServer, _ name: String) -> [Int64] {
        server.consume("of-\(name)").compactMap { (try? JSONValue.parse($0))?["data"]?["number"]?.integer }
    }

    private static func publish(_ server: TestServer, from first: Int) throws {
        let lines = (first..<first + Self.events).map { "{\"number\": \($0), \"padding\": \"\(Self.padding)\"}" }
        let path = "\(server.folder)/events.ndjson"
        try writeFile(path, lines.joined(separator: "\n"))
        let result = server.apus("publish", "shared", "--file", path)
        try #require(result.status == 0, "\(result.errors)")
    }

    /// The ready one gets everything while the other gets nothing, and nothing is paused; then the other gets all of it, in order.
    static func check(_ server: TestServer) throws {
        try #require(server.apus("devices", "drain", Self.device).status == 0)
        for (name, resources) in [("hot", ""), ("cold", ", gpu: {memory: 2Gi}")] {
            let folder = try server.write(name, manifest: Self.manifest(name, resources), files: ["main.py": Self.code])
            let deploy = server.apus("deploy", folder)
            try #require(deploy.status == 0, "\(deploy.errors)")
        }
        for turn in 1...2 {
            try Self.publish(server, from: (turn - 1) * Self.events)
            let all = (0..<Int64(turn * Self.events)).map { $0 }
            #expect(waitUntil(seconds: 60) { Self.numbers(server, "hot") == all }, "\(server.log.suffix(2_000))")
            #expect(Self.numbers(server, "cold").isEmpty)
        }
        let subscriptions = server.apus("get", "subscriptions").output
        #expect(!subscriptions.contains("paused"), "\(subscriptions)")
        #expect(server.apus("devices", "clear", Self.device).status == 0)
        let all = (0..<Int64(2 * Self.events)).map { $0 }
        #expect(waitUntil(seconds: 60) { Self.numbers(server, "cold").count >= all.count }, "\(server.log.suffix(2_000))")
        #expect(Self.numbers(server, "cold") == all, "in the order of the log")
        #expect(Self.numbers(server, "hot") == all, "each once")
    }
}

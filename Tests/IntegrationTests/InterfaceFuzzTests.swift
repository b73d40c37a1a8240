import ApusCore
import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// The server against its own description, by schemathesis from PyPI.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct InterfaceFuzzTests {
    /// Where schemathesis is, or why it cannot be had.
    private static let tool: Result<String, ApusError> = {
        do {
            let script = try ChildProcess("\(InstalledTree.packageRoot)/scripts/schemathesis", [], in: "/var/tmp")
            let status = script.wait(seconds: 310)
            let said = script.output.split(separator: "\n").last.map(String.init) ?? script.errors
            return status == 0 ? .success(said) : .failure(ApusError(.notReady, said))
        } catch { return .failure(ApusError(.notReady, "\(error)")) }
    }()

    private static let echo = """
        def handle(event, context):
            if event.type == "com.example.failing":
                raise ValueError("never")
            return {"type": event.type, "bytes": len(event.data) if isinstance(event.data, bytes) else -1}
        """

    /// What the description's examples name, so that not everything is `not_found`.
    private static let manifest = """
        apiVersion: apus.dev/v1
        kind: Topic
        metadata: {name: documents}
        spec: {partitions: 4}
        ---
        apiVersion: apus.dev/v1
        kind: Topic
        metadata: {name: failing}
        ---
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: embed-text}
        spec:
          runtime: python3
          handler: main:handle
          source: .
          resources: {memory: 128Mi}
          scale: {max: 2, idle: 30s}
          triggers:
            - {topic: documents}
            - {topic: failing, retry: {attempts: 1}, onExhausted: deadLetter}
            - http: {path: /embed, methods: [POST, PUT], auth: required}
            - schedule: {cron: "0 0 1 1 *", missed: skip}
        """

    /// Something of each kind that only its id leads to.
    private struct Existing {
        var invocation = ""
        var deadLetter = ""

        /// For operations whose parameter is such an id.
        var configuration: String {
            func values(_ path: String, _ id: String) -> String {
                "[[operations]]\ninclude-path-regex = \"/\(path)/\\\\{id\\\\}\"\n[operations.parameters]\n\"path.id\" = \"\(id)\"\n"
            }
            return values("invocations", self.invocation) + values("deliveries", self.invocation)
                + values("dead-letters", self.deadLetter)
        }
    }

    private static func existing(_ server: TestServer) throws -> Existing {
        var existing = Existing()
        let accepted = server.apus(
            "invoke", "embed-text", "--async", "--data", "{}", "--output", "json")
        existing.invocation = try JSONValue.parse(Array(accepted.output.utf8))["id"]?.string ?? ""
        #expect(!existing.invocation.isEmpty, "\(accepted)")
        #expect(server.apus("publish", "failing", "--type", "com.example.failing", "--data", "{}").status == 0)
        let isThere = waitUntil(seconds: 20) {
            let list = server.apus("dead", "list", "--output", "json").output
            let items = (try? JSONValue.parse(Array(list.utf8)))?["items"]?.array
            existing.deadLetter = items?.first?["id"]?.string ?? ""
            return !existing.deadLetter.isEmpty
        }
        #expect(isThere, "\(server.apus("dead", "list", "--output", "json"))")
        return existing
    }

    @Test func theServerAnswersAsItsDescriptionSays() throws {
        let tool: String
        switch Self.tool {
        case .success(let path): tool = path
        case .failure(let error):
            return print("apus: skipped: the interface is not fuzzed, as schemathesis cannot be had: \(error.message)")
        }
        let server = try TestServer()
        try server.start()
        server.deploy(try server.write("embed-text", manifest: Self.manifest, files: ["main.py": Self.echo]))
        try writeFile("\(server.folder)/schemathesis.toml", try Self.existing(server).configuration)
        let token = String(decoding: try readFile("\(server.data)/run/admin.token"), as: UTF8.self).filter {
            $0 != "\n"
        }
        let isSoak = currentEnvironment()["APUS_SOAK"] != nil
        let seed = currentEnvironment()["APUS_SEED"] ?? (isSoak ? "\(UInt32.random(in: 0 ..< .max))" : "20260901")
        print("the interface is fuzzed with APUS_SEED=\(seed)")
        // What is there is deleted last.
        for methods in [["--exclude-method", "DELETE"], ["--include-method", "DELETE"]] {
            let fuzz = try ChildProcess(
                tool,
                [
                    "--config-file", "\(server.folder)/schemathesis.toml", "run", "\(server.url)/openapi.json", "-H",
                    "Authorization: Bearer \(token)", "--checks",
                    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
                        + "response_schema_conformance,ignored_auth",
                    "--phases", "examples,coverage,fuzzing", "--max-examples", isSoak ? "200" : "8", "--seed", seed,
                    "--request-timeout", "20", "--generation-database", "none", "--suppress-health-check", "all",
                    "--warnings", "off", "--no-color",
                ] + methods, in: server.folder)
            let status = fuzz.wait(seconds: isSoak ? 3_600 : 240)
            #expect(status == 0, "\(fuzz.output.suffix(20_000))\(fuzz.errors.suffix(2_000))")
        }
        #expect(server.apus("get", "functions").status == 0, "it lives: \(server.log.suffix(2_000))")
    }
}

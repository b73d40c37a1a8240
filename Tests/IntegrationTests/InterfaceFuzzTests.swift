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
            return {"type": event.type, "bytes": len(event.data) if isinstance(event.data, bytes) else -1}
        """

    @Test(.disabled("answers of rollback, warm and events by place are not described whole yet"))
    func theServerAnswersAsItsDescriptionSays() throws {
        let tool: String
        switch Self.tool {
        case .success(let path): tool = path
        case .failure(let error):
            return print("apus: skipped: the interface is not fuzzed, as schemathesis cannot be had: \(error.message)")
        }
        let server = try TestServer()
        try server.start()
        // What the description's examples name, so that not everything is `not_found`.
        let manifest = Functions.between("documents", "embeddings").replacing("name: worker", with: "name: embed-text")
        server.deploy(try server.write("embed-text", manifest: manifest, files: ["main.py": Self.echo]))
        let token = String(decoding: try readFile("\(server.data)/run/admin.token"), as: UTF8.self).filter { $0 != "\n" }
        let examples = currentEnvironment()["APUS_SOAK"] == nil ? "8" : "200"
        // What is there is deleted last.
        for methods in [["--exclude-method", "DELETE"], ["--include-method", "DELETE"]] {
            let fuzz = try ChildProcess(
                tool,
                [
                    "run", "\(server.url)/openapi.json", "-H", "Authorization: Bearer \(token)", "--checks",
                    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
                        + "response_schema_conformance,ignored_auth",
                    "--phases", "examples,coverage,fuzzing", "--max-examples", examples, "--request-timeout", "20",
                    "--generation-database", "none", "--suppress-health-check", "all", "--no-color",
                ] + methods, in: server.folder)
            let status = fuzz.wait(seconds: examples == "8" ? 240 : 3_600)
            #expect(status == 0, "\(fuzz.output.suffix(8_000))\(fuzz.errors.suffix(2_000))")
        }
        #expect(server.apus("get", "functions").status == 0, "it lives: \(server.log.suffix(2_000))")
    }
}

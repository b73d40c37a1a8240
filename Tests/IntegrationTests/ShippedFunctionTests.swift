import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// The shipped functions as a user deploys them, against reference results.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct ShippedFunctionTests {
    private static let golden = "\(InstalledTree.packageRoot)/../shared/data/minilm-golden.json"

    @Test func echoGivesBackWhatItGets() throws {
        let server = try TestServer()
        try server.start()
        server.deploy("\(InstalledTree.packageRoot)/functions/echo")
        let result = server.apus("invoke", "echo", "--data", #"{"a": [1, 2, {"b": null}]}"#)
        #expect(try JSONValue.parse(result.output) == ["a": [1, 2, ["b": nil]]], "\(result.output)\(result.errors)")
    }

    /// Each input of `golden/cases.json` gives its output.
    private func checkGolden(_ server: TestServer, _ name: String) throws {
        let file = "\(InstalledTree.packageRoot)/functions/\(name)/golden/cases.json"
        let cases = try #require(try JSONValue.parse(try readFile(file)).array)
        #expect(!cases.isEmpty)
        for one in cases {
            let type = one["datacontenttype"]?.string ?? ""
            let result = server.apus(
                "invoke", name, "--data", "-", "--content-type", type, input: one["data"]?.string ?? "")
            #expect(result.status == 0, "\(one["name"]?.string ?? ""): \(result.errors)")
            #expect(result.output == one["expected"]?["data"]?.string, "\(one["name"]?.string ?? "")")
        }
    }

    @Test func wordCountIsAScriptInASandbox() throws {
        let server = try TestServer()
        try server.start()
        server.deploy("\(InstalledTree.packageRoot)/functions/word-count")
        try self.checkGolden(server, "word-count")
        let rejected = server.apus(
            "invoke", "word-count", "--data", "x", "--content-type", "application/octet-stream")
        #expect(rejected.status == 1)
        #expect(rejected.errors.contains("exit code 65") && rejected.errors.contains("word-count takes text"))
        let logs = waitUntil(seconds: 20) {
            server.apus("logs", "word-count").output.contains("stderr  word-count takes text")
        }
        #expect(logs)
    }

    @Test func runCodeRunsAScript() throws {
        let server = try TestServer()
        try server.start()
        server.deploy("\(InstalledTree.packageRoot)/functions/run-code")
        try self.checkGolden(server, "run-code")
        for (code, told) in [("1 +", "cannot be read"), ("def f():\\n  return 1 // 0\\nf()", "line 2, in f")] {
            let failed = server.apus("invoke", "run-code", "--data", "{\"code\": \"\(code)\"}")
            #expect(failed.status != 0 && failed.errors.contains(told), "\(failed.errors)")
        }
    }

    /// Through a topic: what the script says of its reply, key and attributes included, is on the reply topic.
    @Test func aCommandAnswersEventsOfATopic() throws {
        let server = try TestServer()
        try server.start()
        let folder = try server.write(
            "lines",
            manifest: Functions.between("texts", "counts").replacing("runtime: python3", with: "runtime: exec")
                .replacing("handler: main:handle", with: "handler: sh count.sh"),
            files: ["count.sh": "echo type=com.example.counted >&3\nprintf '%s %s' \"$CE_PARTITIONKEY\" $(wc -c)\n"])
        server.deploy(folder)
        #expect(server.apus("publish", "texts", "--key", "k1", "--data", "four").status == 0)
        let isThere = waitUntil(seconds: 20) {
            server.consume("counts").contains { $0.contains("com.example.counted") && $0.contains("k1 4") }
        }
        #expect(isThere, "\(server.consume("counts"))")
    }

    /// Builds the function as an author does, with the toolchain that built this; the folder of its build is kept.
    @Test func echoSwiftIsBuiltAtItsDeploy() throws {
        let server = try TestServer()
        try server.start()
        let deploy = server.apus(
            "deploy", "\(InstalledTree.packageRoot)/functions/echo-swift", "--wait", seconds: 400)
        #expect(deploy.status == 0, "\(deploy.errors)")
        #expect(deploy.errors.contains("building"))
        try self.checkGolden(server, "echo-swift")
        let isLogged = waitUntil(seconds: 20) { server.apus("logs", "echo-swift").output.contains("attempt 1") }
        #expect(isLogged)
    }

    /// Builds the real dependency layer, so it needs the package index; without one it says so and does not run.
    @Test func embedTextGivesTheReferenceEmbeddings() throws {
        guard access(Self.golden, R_OK) == 0 else { return print("skipped: no reference embeddings at \(Self.golden)") }
        let server = try TestServer()
        try server.start()
        let deploy = server.apus("deploy", "\(InstalledTree.packageRoot)/functions/embed-text", "--wait", seconds: 400)
        if deploy.status != 0,
            deploy.errors.contains("Could not find a version") || deploy.errors.contains("connection")
        {
            return print("skipped: the package index cannot be reached")
        }
        #expect(deploy.status == 0, "\(deploy.errors)")
        let cases = try JSONValue.parse(try readFile(Self.golden))
        let texts = cases["texts"]?.array ?? []
        let references = cases["embeddings"]?.array ?? []
        try #require(!texts.isEmpty && texts.count == references.count)
        for (text, reference) in zip(texts, references) {
            let body: JSONValue = ["text": text]
            let result = server.apus(
                "invoke", "embed-text", "--data", "-", input: String(decoding: body.encoded(), as: UTF8.self))
            let vector = (try JSONValue.parse(result.output)["vector"]?.array ?? []).compactMap(\.double)
            let expected = (reference.array ?? []).compactMap(\.double)
            #expect(Self.cosine(vector, expected) >= 0.9999, "\(text)")
        }
    }

    /// On a declared device; it needs the package index for numpy.
    @Test func generateGivesTheReferenceTexts() throws {
        let server = try TestServer(variables: [
            "APUS_POOL_DEVICES_SIMULATE":
                "[{kind: small, memory: 4Gi, hostToDevice: 20Gi, deviceToHost: 20Gi, disk: 20Gi}]"
        ])
        try server.start()
        let deploy = server.apus("deploy", "\(InstalledTree.packageRoot)/functions/generate", "--wait", seconds: 400)
        if deploy.status != 0,
            deploy.errors.contains("Could not find a version") || deploy.errors.contains("connection")
        {
            return print("skipped: the package index cannot be reached")
        }
        #expect(deploy.status == 0, "\(deploy.errors)")
        try self.checkGolden(server, "generate")
        let streamed = server.apus("invoke", "generate", "--data", #"{"prompt": "The swift ", "tokens": 3}"#)
        #expect(
            streamed.output == "{\"token\":\"o\"}\n{\"token\":\"o\"}\n{\"token\":\"o\"}\n",
            "\(streamed.output)\(streamed.errors)")
    }

    /// What cannot be fetched here is no fault of what is tested.
    private static func isUnreachable(_ text: String) -> Bool {
        text.contains("Could not find a version") || text.contains("connection")
    }

    private static func deviceServer() throws -> TestServer {
        let server = try TestServer(variables: [
            "APUS_POOL_HOST_MEMORY": "1Gi",
            "APUS_POOL_DEVICES_SIMULATE": "[{kind: small, memory: 4Gi, hostToDevice: 2Gi, deviceToHost: 2Gi, disk: 512Mi}]",
        ])
        try server.start()
        return server
    }

    @Test func theExampleTakesAModelFromNothingToADeviceAndBackToNothing() throws {
        let server = try Self.deviceServer()
        let script = "\(InstalledTree.packageRoot)/examples/gpu-scale-to-zero/run.py"
        let run = try server.begin(program: "/usr/bin/python3", [script, "--apus", "\(server.tree)/bin/apus"])
        let status = run.wait(seconds: 400)
        if Self.isUnreachable(run.errors) { return print("skipped: the package index cannot be reached") }
        #expect(status == 0 && run.output.contains("all checks held"), "\(run.output)\(run.errors)")
    }

    /// Where a GPU is, the same command measures it.
    @Test func aMeasurementOfADeclaredDeviceSaysThatItIsNone() throws {
        let server = try Self.deviceServer()
        let page = "\(server.folder)/page.md"
        let run = try server.begin(
            program: "/usr/bin/python3",
            [
                "\(InstalledTree.packageRoot)/scripts/measure-gpu", "--apus", "\(server.tree)/bin/apus", "--rounds", "1",
                "--output", page,
            ])
        let status = run.wait(seconds: 400)
        if Self.isUnreachable(run.errors) { return print("skipped: the package index cannot be reached") }
        #expect(status == 0, "\(run.output)\(run.errors)")
        let text = String(decoding: try readFile(page), as: UTF8.self)
        for line in ["# simulated small (simulated)", "| simulated | true |", "| cold start | ", "| wake start | ", "| gone | 0 MB |"] {
            #expect(text.contains(line), "\(text)")
        }
        #expect(server.apus("get", "functions").output.contains("measure-gpu") == false, "nothing is left of it")
    }

    private static func cosine(_ left: [Double], _ right: [Double]) -> Double {
        guard left.count == right.count, !left.isEmpty else { return -1 }
        let dot = zip(left, right).reduce(0) { $0 + $1.0 * $1.1 }
        let norms = left.reduce(0) { $0 + $1 * $1 }.squareRoot() * right.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return dot / norms
    }
}

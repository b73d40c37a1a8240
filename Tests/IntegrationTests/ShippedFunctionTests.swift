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

    private static func cosine(_ left: [Double], _ right: [Double]) -> Double {
        guard left.count == right.count, !left.isEmpty else { return -1 }
        let dot = zip(left, right).reduce(0) { $0 + $1.0 * $1.1 }
        let norms = left.reduce(0) { $0 + $1 * $1 }.squareRoot() * right.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return dot / norms
    }
}

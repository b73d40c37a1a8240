import ApusCore
import ApusJSON
import ApusManifest
import Testing

@testable import ApusStore

@Suite struct DeployRequestTests {
    @Test func aRequestReadsBackAsWritten() throws {
        let manifests = try Manifest.parse(
            ControlFixture.topic("a") + ControlFixture.function("f", "{topic: a}"), file: "x.yaml", namespace: .default
        )
        let request = DeployRequest(
            documents: [.init(manifest: manifests[0]), .init(manifest: manifests[1], bundle: ControlFixture.bundle)],
            waits: true
        )
        #expect(try DeployRequest(parsing: request.json.encoded(), namespace: .default, isBound: true) == request)
    }

    @Test func allThatIsWrongIsSaidAtOnce() {
        let body = #"{"documents":[{"manifest":{"kind":"Topic"}},{},{"manifest":{"kind":"Nothing"}}]}"#
        let error = #expect(throws: ApusError.self) {
            try DeployRequest(parsing: Array(body.utf8), namespace: .default, isBound: false)
        }
        #expect(error?.code == .manifestInvalid)
        for index in 0..<3 { #expect(error?.message.contains("documents[\(index)]") == true) }
    }

    @Test(arguments: [
        "{}", #"{"documents":[]}"#, #"{"documents":{}}"#, #"{"documents":[{}],"dry":true}"#, "[]", "nonsense",
    ])
    func aMalformedRequestIsRefused(_ body: String) {
        #expect(throws: ApusError.self) {
            try DeployRequest(parsing: Array(body.utf8), namespace: .default, isBound: false)
        }
    }

    @Test func aManifestOfAnotherNamespaceIsRefusedWhereThePathNamesOne() throws {
        let manifests = try Manifest.parse(
            ControlFixture.topic("a"), file: "x.yaml", namespace: try #require(Namespace("other")))
        let body = DeployRequest(documents: [.init(manifest: manifests[0])]).json.encoded()
        #expect(throws: ApusError.self) { try DeployRequest(parsing: body, namespace: .default, isBound: true) }
        #expect(try DeployRequest(parsing: body, namespace: .default, isBound: false).documents.count == 1)
    }
}

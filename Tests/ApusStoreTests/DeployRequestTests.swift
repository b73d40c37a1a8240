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
            documents: [.init(manifest: manifests[0]), .init(manifest: manifests[1], bundle: ControlFixture.bundle)], waits: true
        )
        #expect(try DeployRequest(parsing: request.json.encoded(), namespace: .default, isBound: true) == request)
    }

    @Test func allThatIsWrongIsSaidAtOnce() {
        let body = #"{"documents":[{"manifest":{"kind":"Topic"}},{},{"manifest":{"kind":"Nothing"}}]}"#
        let error = #expect(throws: ApusError.self) { try DeployRequest(parsing: Array(body.utf8), namespace: .default, isBound: false) }
        #expect(error?.code == .manifestInvalid)
        for index in 0..<3 { #expect(error?.message.contains("documents[\(index)]") == true) }
    }

    @Test(arguments: ["{}", #"{"documents":[]}"#, #"{"documents":{}}"#, #"{"documents":[{}],"dry":true}"#, "[]", "nonsense"])
    func aMalformedRequestIsRefused(_ body: String) {
        #expect(throws: ApusError.self) { try DeployRequest(parsing: Array(body.utf8), namespace: .default, isBound: false) }
    }

    @Test func aManifestOfAnotherNamespaceIsRefusedWhereThePathNamesOne() throws {
        let manifests = try Manifest.parse(ControlFixture.topic("a"), file: "x.yaml", namespace: try #require(Namespace("other")))
        let body = DeployRequest(documents: [.init(manifest: manifests[0])]).json.encoded()
        #expect(throws: ApusError.self) { try DeployRequest(parsing: body, namespace: .default, isBound: true) }
        #expect(try DeployRequest(parsing: body, namespace: .default, isBound: false).documents.count == 1)
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00Z"), (1_772_374_509_123_456, "2026-03-01T14:15:09.123456Z"), (951_782_400_500_000, "2000-02-29T00:00:00.500Z"),
        (-1_000_000, "1969-12-31T23:59:59Z"),
    ])
    func momentsAreWrittenAndReadAsRFC3339(_ microseconds: Int64, _ text: String) {
        #expect(RFC3339.format(Timestamp(microseconds: microseconds)) == text)
        #expect(RFC3339.parse(text)?.microseconds == microseconds)
    }

    @Test(arguments: ["", "2026", "2026-02-30", "2026-13-01", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00.Z", "x"])
    func whatIsNoMomentIsNone(_ text: String) {
        #expect(RFC3339.parse(text) == nil)
    }

    @Test func offsetsAreTakenOff() {
        #expect(RFC3339.parse("2026-03-01T15:15:09+01:00") == RFC3339.parse("2026-03-01T14:15:09Z"))
        #expect(RFC3339.parse("2026-03-01") == RFC3339.parse("2026-03-01T00:00:00Z"))
    }
}

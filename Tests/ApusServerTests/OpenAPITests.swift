import ApusCore
import ApusHTTP
import ApusJSON
import ApusTestSupport
import Testing

@testable import ApusServer

@Suite(.timeLimit(.minutes(1))) struct OpenAPITests {
    @Test func everyOperationIsDescribedAndEveryDescriptionIsOfOne() {
        let ids = Routes.operations.map(\.id)
        #expect(Set(ids).count == ids.count, "an id names one operation")
        let described = OperationDescription.groups.flatMap { $0.descriptions.keys }
        #expect(Set(described).count == described.count)
        for operation in Routes.operations {
            guard let description = OperationDescription.of(operation) else {
                Issue.record("'\(operation.id)' lacks its description: add it to one of OpenAPI/Descriptions+….swift")
                continue
            }
            #expect(!description.answers.isEmpty, "'\(operation.id)' says nothing of its answers")
            #expect(operation.summary.hasSuffix("."), "'\(operation.id)' has a sentence as its summary")
            for code in description.codes { #expect(code.httpStatus >= 400, "\(operation.id)") }
        }
        #expect(Set(described).subtracting(ids).isEmpty, "descriptions of nothing")
    }

    @Test func theDocumentHoldsTogether() throws {
        let json = try JSONValue.parse(OpenAPI.document)
        #expect(json["openapi"] == "3.1.0")
        let paths = try #require(json["paths"]?.object)
        #expect(paths["/v1/functions/{name}"] != nil && paths["/v1/namespaces/{ns}/functions/{name}"] != nil)
        #expect(paths["/v1/namespaces/{ns}/instances"] == nil)
        var ids: [String] = []
        for path in paths {
            for method in path.value.object ?? JSONObject() {
                ids.append(method.value["operationId"]?.string ?? "")
                let named = (method.value["parameters"]?.array ?? []).filter { $0["in"] == "path" }
                #expect(named.count == path.name.split(separator: "{").count - 1, "\(path.name)")
            }
        }
        #expect(Set(ids).count == ids.count && !ids.contains(""))
        for name in Self.references(json) {
            #expect(json["components"]?["schemas"]?[name] != nil, "\(name) is referred to")
        }
    }

    private static func references(_ json: JSONValue) -> Set<String> {
        switch json {
        case .array(let elements): return elements.reduce(into: []) { $0.formUnion(Self.references($1)) }
        case .object(let object):
            var found: Set<String> = []
            for member in object {
                if member.name == "$ref", let text = member.value.string {
                    found.insert(String(text.split(separator: "/").last ?? ""))
                }
                found.formUnion(Self.references(member.value))
            }
            return found
        default: return []
        }
    }

    @Test func theDescribedErrorsAreWhatTheTableOfStatusesSays() throws {
        let json = OpenAPI.json
        let codes = json["paths"]?["/v1/tokens"]?["post"]?["responses"]?["409"]?["content"]?[Problem.mediaType]
        #expect(codes?["schema"]?["allOf"]?[1]?["properties"]?["code"]?["enum"] == ["already_exists", "conflict"])
        #expect(json["paths"]?["/healthz"]?["get"]?["security"] == [])
        #expect(json["paths"]?["/healthz"]?["get"]?["responses"]?["401"] == nil)
    }

    @Test func theServerAnswersIt() throws {
        let bed = try ServerBed()
        let answer = try bed.ask("GET", "/openapi.json")
        #expect(answer.status == 200 && answer.body == OpenAPI.document)
        bed.server.stop()
    }

    @Test func theReferencePageIsUpToDate() throws {
        var parts = #filePath.split(separator: "/").map(String.init)
        parts.removeLast(3)
        let page = try readFile("/" + parts.joined(separator: "/") + "/docs/reference/http.md")
        #expect(String(decoding: page, as: UTF8.self) == OpenAPI.reference, "run `make reference`")
    }
}

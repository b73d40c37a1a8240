import ApusCore
import ApusJSON
import ApusTestSupport
import Testing

@testable import ApusManifest

@Suite struct HTTPTriggerManifestTests {
    private func triggers(_ lines: String) throws -> [HTTPTriggerManifest] {
        let manifests = try Manifest.parse(function("triggers:\n\(lines)"), file: "f.yaml")
        guard case .function(let function)? = manifests.first else { throw ApusError(.internal, "no function") }
        return function.httpTriggers
    }

    @Test func aTriggerSaysItsPathItsMethodsAndWhoMayCall() throws {
        let found = try self.triggers(
            """
            - http: {path: "/embed/{id}"}
            - {name: files, http: {path: "/files/{path...}", methods: [POST, GET], auth: public}}
            """)
        #expect(found.map(\.name) == ["http", "files"])
        #expect(found[0].methods == ["POST"] && found[0].authentication == .required)
        #expect(found[0].path.segments == [.fixed("embed"), .parameter("id")])
        #expect(found[1].methods == ["GET", "POST"] && found[1].authentication == .public)
        #expect(found[1].path.segments == [.fixed("files"), .rest("path")])
        #expect(found[1].claims == ["GET", "HEAD", "POST"])
    }

    @Test func theManifestComesBackFromJSONAndFitsTheSchema() throws {
        let text = function(
            "triggers:\n- topic: a\n- {http: {path: /, methods: [DELETE, GET]}}\n- {topic: b}\n- {name: x, http: {path: /y}}"
        )
        let manifest = try #require(try Manifest.parse(text, file: "f.yaml").first)
        let json = manifest.toJSON()
        let again = try Manifest(json: json)
        #expect(again == manifest && again.toJSON().encoded() == json.encoded())
        var evaluator = SchemaEvaluator(definitions: ManifestSchema.json["$defs"] ?? [:])
        #expect(try evaluator.mismatch(json, ManifestSchema.json) == nil)
        guard case .function(let function) = manifest else { return }
        // Each kind has a list of its own, but a field is still found where it stands in the file.
        #expect(function.referencedTopics.map(\.path) == ["spec.triggers[0].topic", "spec.triggers[2].topic"])
        #expect(function.path(ofTrigger: "x") == "spec.triggers[3]")
    }

    @Test(arguments: [
        ("a", "a path such as"), ("/a/", "no empty segment"), ("//a", "no empty segment"),
        ("/a/../b", "no segment . or .."),
        ("/a b", "no space"), ("/a%20b", "none of { } %"), ("/a?b", "none of"), ("/{a", "none of"),
        ("/{a}b", "none of"),
        ("/{}", "names of parameters"), ("/{1a}", "names of parameters"), ("/{a-b}", "names of parameters"),
        ("/{a...}/b", "as the last segment only"), ("/{a}/{a}", "that differ in their names"),
        (
            "/" + Array(repeating: "a", count: Limits.Manifest.pathSegments + 1).joined(separator: "/"),
            "at most 32 segments"
        ),
    ])
    func aPathThatIsNoneIsRefused(path: String, expected: String) {
        let found = errors(function("triggers:\n- http: {path: \"\(path)\"}"))
        #expect(found.count == 1 && found.first?.contains(expected) == true, "\(path): \(found)")
    }

    @Test func aPathOfTheMostSegmentsIsTaken() throws {
        let path = "/" + Array(repeating: "a", count: Limits.Manifest.pathSegments).joined(separator: "/")
        #expect(try HTTPPathPattern(parsing: path).segments.count == Limits.Manifest.pathSegments)
        #expect(try HTTPPathPattern(parsing: "/").segments.isEmpty)
    }

    @Test(arguments: [
        ("http: {path: /a, methods: []}", "at least one method"),
        ("http: {path: /a, methods: [GET, GET]}", "each once"),
        ("http: {path: /a, methods: [TRACE]}", "expected one of GET"),
        ("http: {path: /a, auth: maybe}", "expected one of"),
        ("http: {path: /a, order: key}", "unknown field"), ("http: {}", "`spec.triggers[0].http.path` is missing"),
        ("{http: {path: /a}, paused: true}", "means nothing with `http`"),
        ("{http: {path: /a}, replyTo: b}", "means nothing without a topic"),
        ("{http: {path: /a}, topic: b}", "expected only one of them"),
    ])
    func eachMistakeGetsItsOwnMessage(trigger: String, expected: String) {
        let found = errors(function("triggers:\n- \(trigger)"))
        #expect(found.contains { $0.contains(expected) }, "\(found)")
    }

    @Test func namesAreDistinctAmongAllTriggers() {
        let two = errors(function("triggers:\n- http: {path: /a}\n- http: {path: /b}"))
        #expect(two.count == 1 && two[0].contains("a second trigger is named `http`"), "\(two)")
        let mixed = errors(function("triggers:\n- topic: http\n- http: {path: /b}"))
        #expect(mixed.count == 1 && mixed[0].contains("a second trigger is named `http`"), "\(mixed)")
    }

    @Test func triggersOfOneFunctionDoNotWantTheSameRequests() {
        let found = errors(
            function(
                "triggers:\n- http: {path: \"/a/{x}\"}\n- {name: b, http: {path: \"/a/{y}\", methods: [GET, POST]}}"))
        #expect(found.count == 1, "\(found)")
        #expect(
            found.first?.hasPrefix("f.yaml:9:28: `spec.triggers[1].http`: POST /a/{y} is taken already") == true,
            "\(found)")
    }

    @Test(
        arguments: [
            ("/a", "/a", .same), ("/a/{x}", "/a/{y}", .same), ("/{x...}", "/{y...}", .same), ("/", "/", .same),
            ("/a", "/b", .apart), ("/a", "/a/b", .apart), ("/a/{x}", "/a", .apart), ("/a/{x}/c", "/a/{x}/d", .apart),
            ("/a", "/{x}", .ordered), ("/a/b", "/a/{x}", .ordered), ("/a", "/a/{x...}", .ordered),
            ("/a/{x}", "/a/{y...}", .ordered), ("/", "/{x...}", .ordered), ("/a/b", "/{x}/{y...}", .ordered),
            ("/a/{x}", "/{y}/b", .ambiguous), ("/a/{x...}", "/{y}/b", .ambiguous), ("/a/{x...}", "/{y}", .ambiguous),
        ] as [(String, String, HTTPPathPattern.Relation)])
    func patternsAreCompared(left: String, right: String, relation: HTTPPathPattern.Relation) throws {
        let (left, right) = (try HTTPPathPattern(parsing: left), try HTTPPathPattern(parsing: right))
        #expect(left.relation(to: right) == relation)
        #expect(right.relation(to: left) == relation)
    }

    @Test func aGetTakesHeadWithIt() throws {
        let path = try HTTPPathPattern(parsing: "/a")
        func trigger(_ methods: [String]) -> HTTPTriggerManifest {
            HTTPTriggerManifest(name: "t", path: path, methods: methods, authentication: .required)
        }
        #expect(trigger(["GET"]).conflict(with: trigger(["HEAD"])) == "HEAD /a is taken already")
        #expect(trigger(["GET"]).conflict(with: trigger(["POST", "OPTIONS"])) == nil)
    }
}

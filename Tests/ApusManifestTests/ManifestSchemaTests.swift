import ApusCore
import ApusJSON
import ApusTestSupport
import Testing

@testable import ApusManifest

@Suite struct ManifestSchemaTests {
    @Test func theSchemaAcceptsWhatTheParserAccepts() throws {
        var evaluator = SchemaEvaluator(definitions: ManifestSchema.json["$defs"] ?? [:])
        let schema = ManifestSchema.json
        for sample in Samples.all {
            for document in YAMLReader.read(SourceText(file: "f", bytes: Array(sample.utf8))).documents {
                #expect(try evaluator.mismatch(document.json, schema) == nil)
            }
            for manifest in try Manifest.parse(sample, file: "f") {
                #expect(try evaluator.mismatch(manifest.toJSON(), schema) == nil)
            }
        }
        // What is only ahead of its time is no error of form.
        let later = YAMLReader.read(SourceText(file: "f", bytes: Array(Samples.later.utf8))).documents[0]
        #expect(try evaluator.mismatch(later.json, schema) == nil)
    }

    @Test(arguments: [
        "timout: 3s", "timeout: 3", "concurrency: 0", "runtime: perl", "env: {1A: x}", "triggers: [{}]",
        "triggers: [{topic: a, http: {path: /}}]", "triggers: [{topic: a, onExhausted: explode}]", "batch: {}",
        "resources: {memory: 1GB}",
        "tool: {name: a, input: {}}\nprompt: {name: b}",
    ])
    func theSchemaRefusesWhatTheParserRefuses(field: String) throws {
        let text =
            field.hasPrefix("runtime") ? function("").replacing("runtime: python3", with: field) : function(field)
        #expect(!errors(text).isEmpty)
        var evaluator = SchemaEvaluator(definitions: ManifestSchema.json["$defs"] ?? [:])
        let document = YAMLReader.read(SourceText(file: "f", bytes: Array(text.utf8))).documents[0]
        #expect(try evaluator.mismatch(document.json, ManifestSchema.json) != nil)
    }

    /// Each name that the schema knows is known to the parser, and the other way round: both are asked, not compared as tables.
    @Test func parserAndSchemaKnowTheSameNames() throws {
        for kind in DocumentKind.allCases {
            let schema = try #require(
                ManifestSchema.json["oneOf"]?.array?.first { $0["title"]?.string == kind.rawValue })
            let names = self.names(schema, "").sorted()
            #expect(names.count > 5)
            for path in names where path != "kind" {
                let message = self.messages(kind, path, "zzz-unknown")
                #expect(
                    !message.contains { $0.contains("unknown field `\(path.split(separator: ".").last ?? "")`") },
                    "\(path): \(message)")
                let wrong = self.messages(kind, path + "Zq", "x")
                #expect(
                    wrong.contains { $0.contains("unknown field") || $0.contains("has the name") }, "\(path): \(wrong)")
            }
        }
    }

    @Test func theSchemaIsStable() throws {
        #expect(ManifestSchema.json.encoded() == ManifestSchema.json.encoded())
        #expect(try JSONValue.parse(ManifestSchema.json.encoded()) == ManifestSchema.json)
    }

    /// Paths of all properties; `[]` stands for the elements of a list.
    private func names(_ schema: JSONValue, _ path: String) -> [String] {
        var names: [String] = []
        for member in schema["properties"]?.object ?? [:] {
            let own = path.isEmpty ? member.name : "\(path).\(member.name)"
            names.append(own)
            names += self.names(member.value, own)
        }
        if let items = schema["items"] { names += self.names(items, path + ".[]") }
        for part in schema["anyOf"]?.array ?? [] { names += self.names(part, path) }
        return names
    }

    /// What the parser says of a document that holds only this path.
    private func messages(_ kind: DocumentKind, _ path: String, _ leaf: JSONValue) -> [String] {
        var value = leaf
        for step in path.split(separator: ".").reversed() { value = step == "[]" ? [value] : [String(step): value] }
        value["kind"] = .string(kind.rawValue)
        do throws(ManifestErrors) {
            _ = try Manifest(json: value)
            return []
        } catch {
            return error.errors.map(\.description)
        }
    }
}

@Suite struct ManifestJSONTests {
    @Test func manifestsGoThroughJSONUnchanged() throws {
        for sample in Samples.all {
            for manifest in try Manifest.parse(sample, file: "f") {
                let json = manifest.toJSON()
                let back = try Manifest(json: JSONValue.parse(json.encoded()))
                #expect(back == manifest)
                #expect(back.toJSON().encoded() == json.encoded())
            }
        }
    }

    @Test func equalManifestsGiveEqualBytes() throws {
        let one = function(
            "timeout: 60s\nenv: {B: 1, A: \"2\"}\nresources: {memory: 1024Mi, cpu: 1000m}\ntriggers: [{topic: a.b}]")
        let two = function(
            "triggers: [{name: a-b, topic: a.b, order: key}]\nenv: {A: 2, B: \"1\"}\ntimeout: 1m\nresources: {cpu: 1, memory: 1Gi}"
        )
        let first = try Manifest.parse(one, file: "a")[0]
        let second = try Manifest.parse(two, file: "b")[0]
        #expect(first == second)
        #expect(first.toJSON().encoded() == second.toJSON().encoded())
    }

    @Test func errorsOfJSONNameTheField() {
        do throws(ManifestErrors) {
            _ = try Manifest(json: [
                "apiVersion": "apus.dev/v1", "kind": "Topic", "metadata": ["name": "t"], "spec": ["partitions": 0],
            ])
            Issue.record("accepted")
        } catch {
            #expect(error.description == "`spec.partitions` is `0`, expected a whole number from 1 to 256")
        }
    }

    @Test func compactedTopicsKeepTheirRecords() throws {
        func topic(_ spec: String) throws -> TopicConfiguration {
            let text = "apiVersion: apus.dev/v1\nkind: Topic\nmetadata: {name: t}\nspec: \(spec)"
            guard case .topic(let topic) = try Manifest.parse(text, file: "f")[0] else {
                throw ApusError(.internal, "no topic")
            }
            return topic.configuration
        }
        let week = TimeSpan.seconds(7 * 86_400)
        #expect(try topic("{}") == TopicConfiguration(partitions: 4, retentionTime: week, retentionBytes: 10 << 30))
        #expect(try topic("{compact: true}") == TopicConfiguration(partitions: 4, isCompacted: true))
        #expect(
            try topic("{compact: true, retention: {time: 1h}}")
                == TopicConfiguration(partitions: 4, retentionTime: .seconds(3_600), isCompacted: true))
        #expect(
            try topic("{retention: {time: unlimited, size: 1Gi}}")
                == TopicConfiguration(partitions: 4, retentionBytes: 1 << 30))
    }
}

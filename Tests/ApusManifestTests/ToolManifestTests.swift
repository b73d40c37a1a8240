import ApusCore
import ApusJSON
import Testing

@testable import ApusManifest

@Suite struct ToolManifestTests {
    private func parsed(_ lines: String) throws -> FunctionManifest {
        let manifest = try Manifest.parse(function(lines), file: "f.yaml")[0]
        guard case .function(let function) = manifest else { throw ApusError(.internal, "no function") }
        #expect(try Manifest(json: manifest.toJSON()) == manifest, "what is written is read back")
        return function
    }

    @Test func aToolIsReadWithItsDefaults() throws {
        let read = try self.parsed("tool: {name: add}")
        let tool = try #require(read.tool)
        #expect(tool.input.text == Array(#"{"type":"object","additionalProperties":false}"#.utf8))
        #expect(tool.output == nil && tool.cache == nil && tool.scopes.isEmpty)
        #expect(tool.approval == .init(when: .never, by: .caller))
        #expect(tool.asynchrony == .never && tool.maxResult == 256 << 10)
        #expect(tool.version == 1 && tool.weight == 100 && !tool.isExposed)
        #expect(!tool.needsApproval)
    }

    @Test func aToolIsReadWhole() throws {
        let read = try self.parsed(
            """
            tool:
              name: add
              title: Add
              input: {type: object, properties: {a: {type: integer, x-mcp-header: Region}}, x-own: [1, {b: null}]}
              output: {type: object}
              annotations: {readOnly: true, idempotent: true, openWorld: false}
              approval: {when: destructive, by: approver}
              async: auto
              scopes: ["sums:write", other]
              cache: {time: 5m, for: everyone}
              limits: {callsPerDay: 9, concurrency: 3}
              maxResult: 1Mi
              version: 3
              weight: 0
              exposed: true
            """)
        let tool = try #require(read.tool)
        #expect(
            tool.input.text
                == Array(
                    #"{"type":"object","properties":{"a":{"type":"integer","x-mcp-header":"Region"}},"x-own":[1,{"b":null}]}"#
                        .utf8))
        #expect(tool.cache == .init(time: .seconds(300), scope: .everyone))
        #expect(tool.scopes == ["sums:write", "other"])
        #expect(tool.version == 3 && tool.weight == 0 && tool.isExposed)
        #expect(!tool.needsApproval, "what only reads destroys nothing")
    }

    @Test func aSchemaAsTextIsKeptToTheByteOnOneLine() throws {
        let read = try self.parsed(
            "tool:\n  name: add\n  input: |\n    {\"type\": \"object\",\n     \"properties\": {\"n\": {\"type\": \"number\", \"multipleOf\": 1.00, \"title\": \"a \\\" b\"}}}"
        )
        #expect(
            read.tool?.input.text
                == Array(
                    #"{"type":"object","properties":{"n":{"type":"number","multipleOf":1.00,"title":"a \" b"}}}"#.utf8))
    }

    @Test func schemasAreReadFromFilesWithThePlacesOfWhatIsWrong() throws {
        let manifest = try Manifest.parse(
            function("tool: {name: a, input: in.json, output: out.yaml}"), file: "f.yaml")[0]
        let files = ["in.json": "{\n \"type\": \"object\"}", "out.yaml": "type: array\nitems: {type: string}\n"]
        let read = try manifest.withSchemas { ("d/\($0)", Array((files[$0] ?? "").utf8)) }
        guard case .function(let function) = read else { throw ApusError(.internal, "no function") }
        #expect(function.tool?.input.text == Array(#"{"type":"object"}"#.utf8))
        #expect(function.tool?.output?.text == Array(#"{"type":"array","items":{"type":"string"}}"#.utf8))
        do throws(ApusError) {
            _ = try manifest.withSchemas { ("d/\($0)", Array("{\n \"type\": \"objec\"}".utf8)) }
            Issue.record("accepted")
        } catch {
            #expect(error.code == .manifestInvalid && error.message.hasPrefix("d/in.json:2:"), "\(error.message)")
        }
    }

    @Test(arguments: [
        ("tool: {name: a, input: {type: string}}", "f.yaml:7:26: `spec.tool.input` is not about an object"),
        (
            "tool:\n  name: a\n  input:\n    type: object\n    properties:\n      b: {type: strin}",
            "f.yaml:12:"
        ),
        ("tool: {name: a, input: \"{no json\"}", "f.yaml:7:26: `spec.tool.input` is no JSON"),
        ("tool: {name: a, input: /etc/passwd}", "f.yaml:7:26: `spec.tool.input` leaves the manifest's folder"),
        ("tool: {name: a, cache: {time: 5m}}", "f.yaml:7:26: `spec.tool.cache` is for tools that only read"),
        (
            "tool: {name: a, annotations: {readOnly: true, destructive: true}}",
            "f.yaml:7:62: `spec.tool.annotations` says"
        ),
        (
            "tool: {name: a, input: {type: object, properties: {b: {type: number, x-mcp-header: R}}}}",
            "f.yaml:7:57: `spec.tool.input` at /properties/b has an `x-mcp-header` on something other than text"
        ),
        (
            "tool: {name: a, input: {type: object, items: {type: string, x-mcp-header: R}}}",
            "f.yaml:7:48: `spec.tool.input` at /items has an `x-mcp-header` where no argument is"
        ),
        ("tool: {name: a}\nprompt: {name: b}", "f.yaml:8:3: `spec` says tool and prompt"),
        ("tool: {name: a}\nbatch: {maxSize: 2}", "f.yaml:8:10: `spec.batch` gives one sandbox several events"),
    ])
    func whatIsWrongIsToldWithItsPlace(lines: String, start: String) {
        let found = errors(function(lines))
        #expect(found.count == 1 && found[0].hasPrefix(start), "\(found)")
    }

    @Test func whatAgentsCallHasASandboxForEachCallUnlessItWouldLoadEachTime() throws {
        #expect(try self.parsed("tool: {name: a}").reuse == .never)
        #expect(try self.parsed("prompt: {name: a}").reuse == .never)
        #expect(try self.parsed("tool: {name: a}\nreuse: function").reuse == .function)
        #expect(try self.parsed("tool: {name: a}\ntriggers: [{topic: t, table: true}]").reuse == .function)
        #expect(try self.parsed("env: {A: b}").reuse == .function)
        #expect(try self.parsed("tool: {name: a}\nsandbox: {calls: process}").calls == .process)
    }

    @Test func promptsAndResourcesAreRead() throws {
        let prompt = try #require(
            try self.parsed(
                "prompt: {name: p, arguments: [{name: a, required: true}, {name: b}], complete: {a: [x, y]}}"
            ).prompt)
        #expect(prompt.arguments.map(\.isRequired) == [true, false])
        #expect(prompt.completion == .values(["a": ["x", "y"]]))
        let resource = try #require(
            try self.parsed("resource: {template: \"test://t/{id}/data\", mimeType: text/plain, complete: function}")
                .resource)
        #expect(resource.address == .template("test://t/{id}/data") && resource.completion == .function)
        #expect(resource.name == "f")
        #expect(errors(function("prompt: {name: p, complete: {zz: [x]}}")).count == 1)
        #expect(errors(function("resource: {uri: \"no uri\"}")).count == 1)
        #expect(errors(function("resource: {template: \"test://{a}{b}\"}")).count == 1)
    }

    @Test func aToolServerIsReadAndWritten() throws {
        let text = """
            apiVersion: apus.dev/v1
            kind: ToolServer
            metadata: {name: sums, labels: {team: a}}
            spec:
              tools: {labels: {team: a}}
              prompts: all
              resources: {names: ["test://x"]}
              instructions: Sums.
              mode: search
              limits: {callsPerSecond: 5, concurrency: 2}
              auth: none
              keep: 5m
            """
        let manifest = try Manifest.parse(text, file: "f.yaml")[0]
        guard case .toolServer(let server) = manifest else { throw ApusError(.internal, "no tool server") }
        #expect(server.tools == .labels(["team": "a"]) && server.prompts == .all)
        #expect(server.resources == .names(["test://x"]) && server.mode == .search)
        #expect(server.authentication == .none && server.keep == .seconds(300))
        #expect(server.bounds == .init(callsPerSecond: 5, callsPerDay: nil, concurrency: 2))
        #expect(try Manifest(json: manifest.toJSON()) == manifest)
        #expect(manifest.identity.description == "ToolServer/default/sums")
        #expect(errors(text.replacing("{labels: {team: a}}\n", with: "{labels: {}, names: []}\n")).count == 1)
    }

    @Test func templatesGiveWhatTheirVariablesStandFor() throws {
        let template = try #require(URITemplate("test://t/{id}/data/{name}.txt"))
        #expect(template.variables == ["id", "name"])
        #expect(template.values(in: "test://t/7/data/a.b.txt")?.map(\.value) == ["7", "a.b"])
        #expect(template.values(in: "test://t/7/data/a.txt")?.map(\.value) == ["7", "a"])
        for other in [
            "test://t//data/a.txt", "test://t/7/8/data/a.txt", "test://t/7/data/.txt", "test://t/7/data/a.txt2", "",
        ] {
            #expect(template.values(in: other) == nil, "\(other)")
        }
        for wrong in ["{a}{b}", "a{", "a}", "{a}/{a}", "{}"] { #expect(URITemplate(wrong) == nil, "\(wrong)") }
    }
}

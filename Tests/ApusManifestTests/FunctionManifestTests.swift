import ApusCore
import ApusJSON
import Testing

@testable import ApusManifest

/// The errors of a text; empty when it is accepted.
func errors(_ text: String) -> [String] {
    do throws(ManifestErrors) {
        _ = try Manifest.parse(text, file: "f.yaml")
        return []
    } catch {
        return error.errors.map(\.description)
    }
}

/// A function whose spec has these lines besides runtime and handler (line 7 on).
func function(_ lines: String) -> String {
    let head =
        "apiVersion: apus.dev/v1\nkind: Function\nmetadata: {name: f}\nspec:\n  runtime: python3\n  handler: main:run\n"
    return head
        + lines.split(separator: "\n", omittingEmptySubsequences: false).map { "  \($0)" }.joined(separator: "\n")
}

@Suite struct FunctionManifestTests {
    func parsed(_ text: String) throws -> FunctionManifest {
        guard case .function(let function) = try Manifest.parse(text, file: "f.yaml")[0] else {
            throw ApusError(.internal, "no function")
        }
        return function
    }

    @Test func theSmallestManifestGetsTheDefaults() throws {
        let function = try self.parsed(Samples.smallest)
        #expect(function.name.description == "echo")
        #expect(function.namespace == .default)
        #expect(function.runtime == .python3)
        #expect(function.source == ".")
        #expect(function.dependencies == nil)
        #expect(function.timeout == .seconds(30))
        #expect(function.concurrency == 1)
        #expect(function.batch == nil)
        #expect(function.resources.memoryBytes == 512 << 20)
        #expect(function.resources.cpuMillis == 1_000)
        #expect(function.resources.processes == 32)
        #expect(function.resources.scratchBytes == 64 << 20)
        #expect(function.scale.min == 0)
        #expect(function.scale.max == 8)
        #expect(function.scale.idle == .seconds(60))
        #expect(function.profile == .python)
        #expect(function.triggers.isEmpty)
        #expect(function.emitTopics.isEmpty)
    }

    @Test func everyFieldArrives() throws {
        let function = try self.parsed(Samples.whole)
        #expect(function.name.description == "search/embed-text")
        #expect(function.labels == ["team": "search", "tier": "1"])
        #expect(function.about == "Turns text into a 384-dimensional sentence embedding.")
        #expect(function.source == "./code")
        #expect(function.dependencies == .init(file: "requirements.txt", resolves: false, allowsBuild: true))
        #expect(
            function.environment == [
                "MODEL": "minilm", "SIZE": "384", "VERBOSE": "no", "EXACT": "true", "RATIO": "1.10",
            ])
        #expect(function.timeout == .seconds(45))
        #expect(function.batch == .init(maxSize: 16, maxWait: .milliseconds(5)))
        #expect(function.resources.cpuMillis == 1_500)
        #expect(function.scale.idle == .seconds(120))
        #expect(function.triggers.map(\.name) == ["documents-new", "again", "settings"])
        let first = function.triggers[0]
        #expect(first.topic.onLog == "ns.search.documents.new")
        #expect(
            first.filter
                == .exact([
                    FilterCondition(.attribute("priority"), "5"),
                    FilterCondition(.attribute("type"), "com.example.document.created"),
                ]))
        #expect(first.order == .partition)
        #expect(first.from == .timestamp(Timestamp(microseconds: 1_785_240_000_250_000)))
        #expect(first.replyTo?.onLog == "ns.search.embeddings")
        #expect(first.retry == .init(attempts: 7, initial: .milliseconds(100), max: .seconds(60)))
        #expect(first.deadLetter?.onLog == "ns.search.documents.dead")
        #expect(first.onExhausted == .drop)
        #expect(first.isPaused)
        #expect(function.triggers[1].onExhausted == .deadLetter)
        #expect(function.triggers[2].isTable)
        #expect(function.emitTopics.map(\.onLog).sorted() == ["ns.search.alerts", "ns.search.embeddings"])
        #expect(function.referencedTopics.map(\.path).contains("spec.triggers[1].deadLetter"))
    }

    @Test func aNativeFunctionHasACommandAndItsOwnProfile() throws {
        let function = try self.parsed(Samples.native)
        #expect(function.command == ["bin/count", "--fast"])
        #expect(function.profile == .native)
        #expect(function.triggers.map(\.name) == ["words", "again"])
        #expect(function.triggers.map(\.order) == [.key, .partition])
    }

    @Test func placesOfFieldsAreKept() throws {
        let function = try self.parsed(Samples.whole)
        #expect(function.locations["spec.triggers[0].replyTo"]?.description == "f.yaml:26:16")
        // What is not there is looked for where it would be.
        #expect(function.locations["spec.triggers[2].replyTo"]?.description == "f.yaml:36:7")
        #expect(function.locations["spec.handler"]?.line == 8)
    }

    @Test func theDefaultNamespaceIsTheCallers() throws {
        let team = try #require(Namespace("team"))
        let manifests = try Manifest.parse(Samples.smallest, file: "f", namespace: team)
        #expect(manifests[0].identity.description == "Function/team/echo")
    }

    @Test func onExhaustedFollowsFromTheDeadLetterTopic() throws {
        func trigger(_ fields: String) throws -> TriggerManifest {
            try self.parsed(function("triggers: [{topic: a, \(fields)}]")).triggers[0]
        }
        #expect(try trigger("order: key").onExhausted == .block)
        #expect(try trigger("deadLetter: d").onExhausted == .deadLetter)
        #expect(try trigger("order: none, deadLetter: d").onExhausted == .deadLetter)
        #expect(try trigger("onExhausted: deadLetter").deadLetterTopic == .dead)
        #expect(
            errors(function("triggers:\n  - topic: a\n    order: none")) == [
                "f.yaml:9:14: `spec.triggers[0].onExhausted` is missing, expected deadLetter, block or drop: `order: none` must choose"
            ])
    }

    @Test func boundsHoldOnBothSides() {
        let accepted = [
            "timeout: 1ms", "timeout: 1d", "concurrency: 256", "batch: {maxSize: 1024, maxWait: 60s}",
            "resources: {memory: 16Mi}",
            "resources: {cpu: 10m}", "resources: {cpu: 256}", "scale: {min: 1000, max: 1000}",
            "resources: {processes: 4096}",
            "triggers: [{topic: a, retry: {attempts: 0}}]", "triggers: [{topic: a, retry: {attempts: 10000}}]",
        ]
        for field in accepted { #expect(errors(function(field)) == [], "\(field)") }
        let refused = [
            "timeout: 999us", "timeout: 86401s", "concurrency: 257", "concurrency: 0", "batch: {maxSize: 1025}",
            "batch: {maxSize: 0}",
            "batch: {maxSize: 2, maxWait: 61s}", "resources: {memory: 15Mi}", "resources: {cpu: 9m}",
            "resources: {cpu: 256.1}",
            "scale: {min: 0, max: 1001}", "scale: {min: 9}", "resources: {processes: 4097}",
            "triggers: [{topic: a, retry: {attempts: 10001}}]", "triggers: [{topic: a, retry: {initial: 2s, max: 1s}}]",
            "timeout: 99999999999999999999d", "resources: {memory: 99999999999Ti}",
        ]
        for field in refused { #expect(errors(function(field)).count == 1, "\(field): \(errors(function(field)))") }
    }

    @Test func listsAreBoundedAtTheirLimits() {
        func triggers(_ count: Int) -> String {
            "triggers:\n" + (0..<count).map { "  - {topic: t\($0)}" }.joined(separator: "\n")
        }
        #expect(errors(function(triggers(Limits.Manifest.triggers))) == [])
        #expect(errors(function(triggers(Limits.Manifest.triggers + 1))).count == 1)
        func variables(_ count: Int) -> String { "env:\n" + (0..<count).map { "  V\($0): x" }.joined(separator: "\n") }
        #expect(errors(function(variables(Limits.Manifest.environmentVariables))) == [])
        #expect(errors(function(variables(Limits.Manifest.environmentVariables + 1))).count == 1)
        func value(_ bytes: Int) -> String {
            "env: {A: \(String(repeating: "x", count: bytes)), B: \(String(repeating: "x", count: 6_000))}"
        }
        let room = Limits.Manifest.environmentBytes - 6_000 - 2 * 3
        #expect(errors(function(value(room))) == [])
        #expect(errors(function(value(room + 1))).count == 1)
        func emits(_ count: Int) -> String { "emits: [" + (0..<count).map { "t\($0)" }.joined(separator: ", ") + "]" }
        #expect(errors(function(emits(Limits.Manifest.emits))) == [])
        #expect(errors(function(emits(Limits.Manifest.emits + 1))).count == 1)
        func labels(_ count: Int) -> String {
            let labels = (0..<count).map { "l\($0): x" }.joined(separator: ", ")
            return Samples.smallest.replacing("{name: echo}", with: "{name: echo, labels: {\(labels)}}")
        }
        #expect(errors(labels(Limits.Manifest.labels)) == [])
        #expect(errors(labels(Limits.Manifest.labels + 1)).count == 1)
        func terms(_ count: Int) -> String {
            "triggers:\n  - topic: a\n    filter:\n" + (0..<count).map { "      a\($0): x" }.joined(separator: "\n")
        }
        #expect(errors(function(terms(Limits.Manifest.filterTerms))) == [])
        #expect(errors(function(terms(Limits.Manifest.filterTerms + 1))).count == 1)
    }

    @Test func textsAreBoundedAtTheirLimits() {
        func x(_ count: Int) -> String { String(repeating: "x", count: count) }
        let bounds: [(bound: Int, text: (Int) -> String)] = [
            (Limits.Manifest.descriptionBytes, { function("description: \(x($0))") }),
            (Limits.Manifest.pathBytes, { function("source: \(x($0))") }),
            (Limits.Manifest.textValueBytes, { function("env: {A: \(x($0))}") }),
            (Limits.Manifest.handlerBytes, { Samples.native.replacing("bin/count --fast", with: x($0)) }),
            (Limits.labelBytes, { Samples.smallest.replacing("name: echo", with: "name: \(x($0))") }),
        ]
        for (bound, text) in bounds {
            #expect(errors(text(bound)) == [])
            #expect(errors(text(bound + 1)).count == 1, "\(bound): \(errors(text(bound + 1)))")
        }
    }

    @Test func whatAFunctionNeedsOfDevicesIsRead() throws {
        let device = try self.parsed(Samples.device)
        #expect(
            device.resources.gpu
                == FunctionManifest.GPU(memoryBytes: 8 << 30, residueBytes: 512 << 20, count: 2, kind: "h200"))
        #expect(device.resources.hostBytes == 1 << 30 && device.isPooled)
        #expect(device.scale.deviceIdle == .seconds(90) && device.scale.hostIdle == nil && device.scale.weight == 2)
        let plain = try self.parsed(Samples.smallest)
        #expect(plain.resources.gpu == nil && !plain.isPooled)
        #expect(plain.scale.deviceIdle == nil && plain.scale.hostIdle == .seconds(14_400))
    }

    @Test func whatCannotRunOnADeviceIsRefused() {
        let gpu = "resources: {gpu: {memory: 8Gi}}"
        #expect(errors(function("\(gpu)\nreuse: never")).first?.contains("expected `reuse: function`") ?? false)
        let shell = function(gpu).replacing("runtime: python3", with: "runtime: exec").replacing(
            "main:run", with: "cat")
        #expect(errors(shell).first?.contains("expected python3 or native") ?? false)
        let residue = errors(function("resources: {gpu: {memory: 1Gi, residue: 1Gi}}"))
        #expect(residue.first?.contains("residue") ?? false)
    }

    @Test func weightsAreReadAndWritten() throws {
        let hash = String(repeating: "Ab", count: 32)
        let text = function(
            """
            weights:
              - {name: a, file: model/a.bin, sha256: "\(hash)", size: 91Mi}
              - {name: b, url: "https://example.com/b?x=1", sha256: "\(hash)"}
            """)
        guard case .function(let read)? = try Manifest.parse(text, file: "f.yaml").first else {
            Issue.record("no function")
            return
        }
        let expected = [
            FunctionManifest.Weights(
                name: "a", source: .file("model/a.bin"), sha256: hash.lowercased(), bytes: 91 << 20),
            FunctionManifest.Weights(
                name: "b", source: .url("https://example.com/b?x=1"), sha256: hash.lowercased(), bytes: nil),
        ]
        #expect(read.weights == expected)
        guard case .function(let again) = try Manifest(json: Manifest.function(read).toJSON(), namespace: read.name.namespace)
        else { return }
        #expect(again.weights == expected)
    }

    @Test(arguments: [
        (#"{name: a, file: f}"#, "sha256"), (#"{name: a, sha256: "HASH"}"#, "file"),
        (#"{name: a, file: f, url: "https://e.com/f", sha256: "HASH"}"#, "url"),
        (#"{name: a, file: ../f, sha256: "HASH"}"#, "inside"), (#"{name: a, url: "ftp://e.com/f", sha256: "HASH"}"#, "http"),
        (#"{name: A_, file: f, sha256: "HASH"}"#, "name"), (#"{name: a, file: f, sha256: "abc"}"#, "sha256"),
        (#"{name: a, file: f, sha256: "HASH", size: 0}"#, "size"),
        (#"{name: a, file: f, sha256: "HASH"}, {name: a, file: g, sha256: "HASH"}"#, "another name"),
    ])
    func weightsThatNobodyCouldFindAreRefused(_ weights: String, _ part: String) {
        let hash = String(repeating: "a", count: 64)
        let found = errors(function("weights: [\(weights.replacing("HASH", with: hash))]"))
        #expect(!found.isEmpty && found.contains { $0.contains(part) }, "\(found)")
    }

    @Test func weightsAreBounded() {
        let hash = String(repeating: "a", count: 64)
        func count(_ count: Int) -> [String] {
            errors(
                function(
                    "weights: [\((0..<count).map { #"{name: w\#($0), file: f, sha256: "\#(hash)"}"# }.joined(separator: ", "))]"
                ))
        }
        #expect(count(Limits.Manifest.weights).isEmpty && !count(Limits.Manifest.weights + 1).isEmpty)
    }

    @Test func howDeliveriesAreRetriedRememberedAndExpireIsReadAndWritten() throws {
        let text = function(
            """
            batch: {maxSize: 8, maxBytes: 64Ki}
            triggers: [{topic: a, delivery: exactly-once, dedup: {window: 1h}, onExpired: deadLetter,
              retry: {attempts: unlimited, maxAge: 2d}}, {topic: b, retry: {attempts: -1}}, {topic: c}]
            """)
        guard let manifest = try Manifest.parse(text, file: "f.yaml").first, case .function(let read) = manifest else {
            Issue.record("no function")
            return
        }
        #expect(read.batch?.maxBytes == 64 << 10)
        #expect(read.triggers.map(\.delivery) == [.exactlyOnce, .atLeastOnce, .atLeastOnce])
        #expect(read.triggers.map(\.dedupWindow) == [.seconds(3_600), nil, nil])
        #expect(read.triggers.map(\.onExpired) == [.deadLetter, .skip, .skip])
        #expect(read.triggers.map(\.retry.attempts) == [0, 0, 5])
        #expect(read.triggers.map(\.retry.maxAge) == [.seconds(172_800), nil, nil])
        #expect(try Manifest(json: manifest.toJSON()) == manifest)
        for wrong in ["retry: {attempts: -2}", "retry: {attempts: none}", "retry: {maxAge: 1ms}", "onExpired: block"] {
            #expect(errors(function("triggers: [{topic: a, \(wrong)}]")).count == 1, "\(wrong)")
        }
        #expect(errors(function("batch: {maxSize: 2, maxBytes: 201Ki}")).count == 1)
        #expect(errors(function("triggers: [{http: {path: /a}, onExpired: skip}]")).count == 1)
    }

    @Test func aSandboxForEachEventIsReadAndWritten() throws {
        let manifests = try Manifest.parse(function("reuse: never"), file: "f.yaml")
        guard let manifest = manifests.first, case .function(let read) = manifest else {
            Issue.record("no function")
            return
        }
        #expect(read.reuse == .never)
        #expect(try Manifest(json: manifest.toJSON()) == manifest)
    }

    @Test func whatPaysOnlyOverManyEventsIsRefusedWithASandboxForEach() {
        #expect(errors(function("reuse: never\nbatch: {maxSize: 1}")).contains { $0.contains("a sandbox of its own") })
        #expect(errors(function("reuse: never\nconcurrency: 2")).contains { $0.contains("`spec.scale.max`") })
        #expect(errors(function("reuse: never\nconcurrency: 1")) == [])
        let table = function("reuse: never\ntriggers: [{topic: settings, table: true}]")
        #expect(errors(table).contains { $0.contains("`spec.triggers[0].table`") && $0.contains("each sandbox") })
        #expect(errors(table.replacing("reuse: never", with: "reuse: function")) == [])
    }

    @Test func callsShareASandboxWhereTheManifestAsksForItTheRuntimeCanAndTheCodeIsTrusted() {
        #expect(errors(function("reuse: never\nsandbox: {calls: process}")) == [])
        #expect(errors(function("sandbox: {calls: process}")).contains { $0.contains("expected `reuse: never`") })
        #expect(
            errors(function("reuse: never\nsandbox: {calls: process, isolation: hostile}")).contains {
                $0.contains("hostile code shares nothing")
            })
        #expect(errors(function("reuse: never\nsandbox: {calls: thread}")).count == 1)
    }

    @Test func fieldsWithoutEffectAreCheckedAllTheSame() {
        #expect(
            errors(function("tool: {nam: x, input: {type: object}}")) == [
                "f.yaml:7:9: `spec.tool.name` is missing, expected 1 to 128 of letters, digits, `_`, `-` and `.`",
                "f.yaml:7:10: unknown field `nam` in `spec.tool`, expected a known field, did you mean `name`?",
            ])
    }
}

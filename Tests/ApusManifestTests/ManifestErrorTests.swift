import ApusCore
import ApusJSON
import Testing

@testable import ApusManifest

@Suite struct ManifestErrorTests {
    /// Behaviour 39, among what else a manifest may not say.
    @Test func allErrorsOfAFileAreToldAtOnce() {
        let text = """
            apiVersion: apus.dev/v1
            kind: Function
            metadata: {name: Embed, namspace: x}
            spec:
              runtime: pyton3
              handler: main
              timout: 3s
              timeout: 3 s
              concurrency: two
              env: {1A: x}
              triggers:
                - topic: apus.control
                - topic: a
                  deadLetter: a
                - topic: a
                  oder: key
                - {}
            ---
            apiVersion: apus.dev/v2
            kind: Topic
            metadata: {name: t}
            spec: {partitions: 0, compact: yes}
            ---
            kind: Topik
            """
        #expect(
            errors(text) == [
                "f.yaml:3:18: `metadata.name` is `Embed`, expected 1 to 63 of a-z, 0-9 and -, with no - at the ends",
                "f.yaml:3:25: unknown field `namspace` in `metadata`, expected a known field, did you mean `namespace`?",
                "f.yaml:5:12: `spec.runtime` is `pyton3`, expected one of python3, native, node, exec, mcp, http, did you mean `python3`?",
                "f.yaml:7:3: unknown field `timout` in `spec`, expected a known field, did you mean `timeout`?",
                "f.yaml:8:12: `spec.timeout` is `3 s`, expected a length of time such as 200ms, 30s, 5m, 4h or 7d",
                "f.yaml:9:16: `spec.concurrency` is `two`, expected a whole number from 1 to 256",
                "f.yaml:10:9: `spec.env` has the name `1A`, expected the name of a variable: letters, digits and _, no digit first",
                "f.yaml:12:14: `spec.triggers[0].topic` is `apus.control`, a reserved name, expected one that does not start with "
                    + "`apus.` or `ns.`",
                "f.yaml:14:19: `deadLetter` is the trigger's own topic `a`, expected another one",
                "f.yaml:15:14: a second trigger is named `a`, expected names that differ: give this one a `name` of its own",
                "f.yaml:16:7: unknown field `oder` in `spec.triggers[2]`, expected a known field, did you mean `order`?",
                "f.yaml:17:7: `spec.triggers[3]` says none of topic, http, schedule, expected one of them",
                "f.yaml:19:13: `apiVersion` is `apus.dev/v2`, expected `apus.dev/v1`, did you mean `apus.dev/v1`?",
                "f.yaml:22:20: `spec.partitions` is `0`, expected a whole number from 1 to 256",
                "f.yaml:22:32: `spec.compact` is `yes`, expected true or false (text in YAML 1.2)",
                "f.yaml:24:7: `kind` is `Topik`, expected one of Function, Topic, ToolServer, Upstream, Agent, did you mean `Topic`?",
            ])
    }

    @Test(arguments: [
        ("handler: main", "`spec.handler` is `main`, expected a module and a function such as main:embed"),
        ("handler: \"main:\"", "`spec.handler` is `main:`, expected a module and a function such as main:embed"),
        ("handler: 5", "`spec.handler` is `5`, expected text: put it in quotes"),
        ("handler: [a]", "`spec.handler` is a list, expected text of at most 4096 bytes without control characters"),
    ])
    func handlersAreChecked(line: String, expected: String) {
        let text = Samples.smallest.replacing("handler: \"main:echo\"", with: line)
        #expect(errors(text).map { String($0.drop { $0 != " " }.dropFirst()) } == [expected])
    }

    @Test(arguments: [
        ("source: /etc", "a relative path"), ("dependencies: ../r.txt", "leaves the bundle"),
        ("env: {APUS_TOKEN: x}", "reserved name"), ("env: {A: [1]}", "expected text, a number or a Boolean"),
        ("env: {A: }", "is nothing, expected text"), ("env: {A: \"\\0\"}", "without control characters"),
        ("triggers: [{topic: a, table: true, order: key}]", "means nothing with `table: true`"),
        ("triggers: [{topic: a, filter: {specversion: \"1.0\"}}]", "always 1.0"),
        ("triggers: [{topic: a, filter: {Type: x}}]", "expected the name of an attribute"),
        ("triggers: [{topic: a_b}]", "gives no name for the trigger"),
        ("triggers: [{topic: a, from: yesterday}]", "expected a moment such as"),
        ("triggers: [{topic: a, from: 2026-02-29T00:00:00Z}]", "expected a moment such as"),
        ("triggers: {topic: a}", "is a mapping, expected a list"), ("emits: [ns.a.b]", "reserved name"),
        ("sandbox: {profile: native}", "not yet supported"),
        ("scale: {min: 5, max: 2}", "at most `spec.scale.max`, which is 2"),
        ("resources: {memory: 1GB}", "expected a size such as"),
        ("resources: {cpu: 1.2345}", "expected a number of CPUs"),
        ("description: [x]", "is a list, expected text"),
    ])
    func eachMistakeGetsItsOwnMessage(field: String, expected: String) {
        let found = errors(function(field))
        #expect(found.count == 1, "\(found)")
        #expect(found.first?.contains(expected) == true, "\(found)")
    }

    @Test func fieldsThatExcludeEachOtherAreTold() {
        let both = errors(function("triggers: [{topic: a, http: {path: /x}}]"))
        #expect(both.contains { $0.hasSuffix("`spec.triggers[0]` says topic and http, expected only one of them") })
        let two = errors(function("tool: {name: a, input: {}}\nprompt: {name: b}"))
        #expect(two.contains { $0 == "f.yaml:8:3: `spec` says tool and prompt, expected only one of them" })
        #expect(
            errors(function("triggers: [{http: {path: /x}, order: key}]")).contains {
                $0.contains("means nothing without a topic")
            })
    }

    @Test func nativeFunctionsAreCheckedTheirOwnWay() {
        func native(_ handler: String, _ more: String = "") -> [String] {
            errors(
                "apiVersion: apus.dev/v1\nkind: Function\nmetadata: {name: f}\nspec: {runtime: native, handler: \"\(handler)\"\(more)}"
            )
        }
        #expect(native("bin/f") == [])
        #expect(native("/bin/sh").count == 1)
        #expect(native("a/../../b").count == 1)
        #expect(native(" ").count == 1)
        #expect(native("f", ", dependencies: r.txt").count == 1)
    }

    @Test func nodeFunctionsAreCheckedTheirOwnWay() {
        func node(_ handler: String, _ more: String = "") -> [String] {
            errors(
                "apiVersion: apus.dev/v1\nkind: Function\nmetadata: {name: f}\nspec: {runtime: node, handler: \"\(handler)\"\(more)}"
            )
        }
        for good in ["main:handle", "lib/a.mjs:api.handle", "main:default", "@own/x-y:$handle"] {
            #expect(node(good) == [], "\(good)")
        }
        for bad in ["main", "main:", ":x", "../main:x", "/main:x", "a//b:x", "main:x:y", "main:x-y", "main: x"] {
            #expect(node(bad).count == 1, "\(bad)")
        }
        #expect(node("main:x", ", resources: {processes: 16, memory: 64Mi}") == [])
        #expect(node("main:x", ", resources: {processes: 15}").contains { $0.contains("at least 16") })
        #expect(node("main:x", ", resources: {memory: 63Mi}").contains { $0.contains("at least 64MiB") })
        #expect(node("main:x", ", dependencies: package.json").contains { $0.contains("brings what it needs") })
    }

    @Test func execFunctionsAreCheckedTheirOwnWay() {
        func exec(_ handler: String, _ more: String = "") -> [String] {
            errors(
                "apiVersion: apus.dev/v1\nkind: Function\nmetadata: {name: f}\nspec: {runtime: exec, handler: \"\(handler)\"\(more)}"
            )
        }
        for good in ["./count.sh", "awk -f count.awk", "/usr/bin/env sh main.sh", "bin/x --fast"] {
            #expect(exec(good) == [], "\(good)")
        }
        #expect(exec("a/../../b").count == 1)
        #expect(exec(" ").count == 1)
        #expect(exec("cat", ", dependencies: r.txt").count == 1)
        #expect(exec("cat", ", batch: {maxSize: 2}").count == 1)
        #expect(exec("cat", ", triggers: [{topic: a, table: true}]").contains { $0.contains("cannot hold a table") })
        #expect(exec("cat", ", concurrency: 31") == [])
        #expect(exec("cat", ", concurrency: 32").contains { $0.contains("at least 33") })
        #expect(exec("cat", ", concurrency: 33, resources: {processes: 99}").count == 1)
        #expect(exec("cat", ", concurrency: 4, resources: {processes: 4}").contains { $0.contains("at least 5") })
        #expect(exec("cat", ", concurrency: 4, resources: {processes: 5}") == [])
        #expect(exec("cat", ", env: {CE_ID: x}").count == 1)
        #expect(exec("cat", ", sandbox: {profile: exec}") == [])
        #expect(exec("cat", ", sandbox: {profile: python}").count == 1)
    }

    @Test func theCodeIsTheGravest() {
        func code(_ text: String) -> ErrorCode? {
            do throws(ManifestErrors) {
                _ = try Manifest.parse(text, file: "f")
                return nil
            } catch {
                return error.asApusError.code
            }
        }
        func later(_ more: String) -> String {
            function("sandbox: {profile: native}") + "\n---\n" + function(more)
        }
        #expect(code(later("timeout: 3s")) == .notYetSupported)
        #expect(code(function("emits: [apus.x]")) == .reservedName)
        #expect(code(later("emits: [apus.x]")) == .reservedName)
        #expect(code(later("timeot: 3")) == .manifestInvalid)
    }

    @Test func theSameThingTwiceIsRefused() throws {
        let text = Samples.smallest + "\n---\n" + Samples.smallest
        #expect(errors(text) == ["f.yaml:8:18: Function `echo` is there already (f.yaml:3:18), expected it once"])
        let one = try Manifest.parse(Samples.smallest, file: "a")
        let two = try Manifest.parse(Samples.smallest, file: "b")
        #expect(throws: ManifestErrors.self) { try Manifest.checkDistinct(one + two) }
        #expect(throws: Never.self) { try Manifest.checkDistinct(one) }
    }

    @Test func topicNamesFitWithTheirNamespace() {
        let name = String(repeating: "a", count: 249)
        func topic(_ namespace: String, _ name: String) -> [String] {
            errors("apiVersion: apus.dev/v1\nkind: Topic\nmetadata: {name: \(name), namespace: \(namespace)}")
        }
        #expect(topic("default", name) == [])
        #expect(topic("team", name).count == 1)
        #expect(topic("team", String(repeating: "a", count: 241)) == [])
        #expect(topic("te.am", "a").count == 1)
    }

    @Test func errorsAreBounded() {
        let text = function((0..<500).map { "x\($0): 1" }.joined(separator: "\n"))
        do throws(ManifestErrors) {
            _ = try Manifest.parse(text, file: "f")
            Issue.record("accepted")
        } catch {
            #expect(error.errors.count == Limits.Manifest.errors)
            #expect(error.omitted == 400)
            #expect(error.description.hasSuffix("… and 400 more"))
        }
    }

    @Test func suggestionsAreNearOrNone() {
        let names = ["timeout", "triggers", "tool", "maxSize"]
        #expect(Suggestion.nearest(to: "timout", among: names) == "timeout")
        #expect(Suggestion.nearest(to: "max_size", among: names) == "maxSize")
        #expect(Suggestion.nearest(to: "tirggers", among: names) == "triggers")
        #expect(Suggestion.nearest(to: "zebra", among: names) == nil)
        #expect(Suggestion.nearest(to: String(repeating: "x", count: 10_000), among: names) == nil)
    }
}

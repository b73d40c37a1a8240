import ApusHTTP
import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// Who may use which tool, on every way that leads to one, against the built binary.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct ToolRightsTests {
    /// What is offered: a name, the scopes that it needs, and whether the server `shop` has it.
    private struct Offer {
        let name: String
        let scopes: Set<String>
        let isInShop: Bool

        init(_ kind: String, _ index: Int) {
            self.name = "\(kind)\(index < 10 ? "0" : "")\(index)"
            self.scopes = [[], ["a"], ["b"], ["a", "b"]][index % 4]
            self.isInShop = index % 3 == 0
        }
    }

    private static let tools = (0..<20).map { Offer("tool", $0) }
    private static let prompts = (0..<4).map { Offer("prompt", $0) }
    private static let resources = (0..<4).map { Offer("sheet", $0) }
    /// These two become tasks where the client takes them, and this one's result is too large to be sent.
    private static let tasks = ["tool04", "tool05"]
    private static let large = "tool02"

    private static func manifest(_ offer: Offer, _ index: Int, _ kind: String) -> String {
        let scopes = "scopes: [\(offer.scopes.sorted().joined(separator: ", "))]"
        var spec =
            switch kind {
            case "prompt": "prompt: {name: \(offer.name), \(scopes)}"
            case "resource": "resource: {name: \(offer.name), uri: \"shop://\(offer.name)\", mimeType: text/plain, \(scopes)}"
            default: "tool: {name: \(offer.name), input: {type: object}, \(scopes)"
            }
        if kind == "tool" {
            if Self.tasks.contains(offer.name) { spec += ", async: auto" }
            if offer.name == Self.large { spec += ", maxResult: 1Ki" }
            spec += "}"
        }
        let handler = offer.name == Self.large ? "seq 1 2000" : "printenv CE_SUBJECT"
        return """
            apiVersion: apus.dev/v1
            kind: Function
            metadata: {name: \(offer.name), labels: {shop: "\(offer.isInShop)"}}
            spec:
              description: Gives back the word \(Self.word(index)).
              runtime: exec
              handler: \(handler)
              source: .
              \(spec)

            """
    }

    /// A word that no other tool's description has.
    private static func word(_ index: Int) -> String {
        "zebra" + String(UnicodeScalar(UInt8(ascii: "a") + UInt8(index))) + "x"
    }

    private static let servers = """
        apiVersion: apus.dev/v1
        kind: ToolServer
        metadata: {name: shop}
        spec: {tools: {labels: {shop: "true"}}, prompts: {labels: {shop: "true"}}, resources: {labels: {shop: "true"}}}
        ---
        apiVersion: apus.dev/v1
        kind: ToolServer
        metadata: {name: finder}
        spec: {tools: all, mode: search}

        """

    private struct Holder {
        let name: String
        /// Nil for whoever is allowed everything.
        let scopes: Set<String>?
        let caller: ToolCaller
        var isInShop = false

        func may(_ offer: Offer) -> Bool {
            (!self.isInShop || offer.isInShop) && (self.scopes.map { offer.scopes.isSubset(of: $0) } ?? true)
        }

        func names(_ offers: [Offer]) -> Set<String> { Set(offers.filter(self.may).map(\.name)) }
    }

    private static func serving() throws -> (TestServer, [Holder]) {
        let server = try TestServer()
        try server.start()
        let offers =
            Self.tools.enumerated().map { Self.manifest($1, $0, "tool") }
            + Self.prompts.enumerated().map { Self.manifest($1, $0, "prompt") }
            + Self.resources.enumerated().map { Self.manifest($1, $0, "resource") }
        server.deploy(try server.write("offers", manifest: (offers + [Self.servers]).joined(separator: "---\n")))
        let admin = try Caller(server)
        func agent(_ name: String, _ scopes: [String], _ more: [String] = []) throws -> ToolCaller {
            let made = server.apus(
                arguments: ["agent", "create", name, "--output", "json"] + scopes.flatMap { ["--scope", $0] } + more)
            let token = try #require(try JSONValue.parse(Array(made.output.utf8))["token"]?.string, "\(made.errors)")
            return ToolCaller(caller: admin, token: token)
        }
        var shop = try agent("clerk", ["b"], ["--tool-server", "shop"])
        shop.path = "/mcp/shop"
        return (
            server,
            [
                Holder(name: "admin", scopes: nil, caller: ToolCaller(caller: admin)),
                Holder(name: "both", scopes: ["a", "b"], caller: try agent("both", ["a", "b"])),
                Holder(name: "ann", scopes: ["a"], caller: try agent("ann", ["a"])),
                Holder(name: "none", scopes: [], caller: try agent("none", [])),
                Holder(name: "clerk", scopes: ["b"], caller: shop, isInShop: true),
            ]
        )
    }

    private static func listed(_ caller: ToolCaller, _ list: String, _ member: String, _ name: String = "name") throws -> Set<String> {
        let answer = try ToolCaller.message(caller.ask("\(list)/list"))
        return Set((answer["result"]?[member]?.array ?? []).compactMap { $0[name]?.string })
    }

    /// Whether a request was answered with a result. If not, the answer must be that to something that there is not.
    private static func isGiven(_ answer: JSONValue, _ name: String, _ unknown: JSONValue) -> Bool {
        if answer["result"] != nil { return answer["result"]?["isError"]?.boolean != true }
        let text = String(decoding: answer.encoded(), as: UTF8.self).replacing(name, with: "nothing")
        #expect(text == String(decoding: unknown.encoded(), as: UTF8.self), "\(name) is told from what is not there")
        return false
    }

    @Test func toolsAreListedFoundDescribedAndCalledByThoseWhoMay() throws {
        let (server, holders) = try Self.serving()
        defer { #expect(server.terminate() == 0) }
        for holder in holders {
            let own = holder.names(Self.tools)
            #expect(try Self.listed(holder.caller, "tools", "tools") == own, "\(holder.name)")
            let unknown = try holder.caller.call("nothing")
            for tool in Self.tools {
                let answer = try holder.caller.call(tool.name)
                #expect(Self.isGiven(answer, tool.name, unknown) == own.contains(tool.name), "\(holder.name) \(tool.name) \(answer)")
            }
            // The same through the three tools of a server that is searched. One agent does not reach it.
            var finder = holder.caller
            finder.path = "/mcp/finder"
            guard !holder.isInShop else {
                #expect(try finder.ask("tools/list").status == 404)
                continue
            }
            #expect(try Self.listed(finder, "tools", "tools") == ["find_tools", "describe_tool", "call_tool"])
            for (index, tool) in Self.tools.enumerated() {
                let found = try finder.call("find_tools", ["query": .string(Self.word(index)), "limit": 50])
                let names = Set((found["result"]?["structuredContent"]?["tools"]?.array ?? []).compactMap { $0["name"]?.string })
                #expect(names.contains(tool.name) == own.contains(tool.name), "\(holder.name) \(tool.name) \(found)")
                #expect(names.isSubset(of: own), "\(holder.name) \(names)")
                let called = try finder.call("call_tool", ["name": .string(tool.name), "arguments": [:]])
                #expect(
                    Self.isGiven(called, tool.name, try finder.call("call_tool", ["name": "nothing", "arguments": [:]]))
                        == own.contains(tool.name), "\(holder.name) \(tool.name)")
            }
            let described = try finder.call("describe_tool", ["names": .array(Self.tools.map { .string($0.name) })])
            let content = described["result"]?["structuredContent"]
            #expect(Set((content?["tools"]?.array ?? []).compactMap { $0["name"]?.string }) == own, "\(holder.name)")
            #expect((content?["unknown"]?.array?.count ?? 0) == Self.tools.count - own.count, "\(holder.name)")
        }
    }

    @Test func promptsAndResourcesAreThoseOfWhoMay() throws {
        let (server, holders) = try Self.serving()
        defer { #expect(server.terminate() == 0) }
        for holder in holders {
            let (prompts, sheets) = (holder.names(Self.prompts), holder.names(Self.resources))
            #expect(try Self.listed(holder.caller, "prompts", "prompts") == prompts, "\(holder.name)")
            #expect(try Self.listed(holder.caller, "resources", "resources") == sheets, "\(holder.name)")
            let noPrompt = try ToolCaller.message(holder.caller.ask("prompts/get", ["name": "nothing"]))
            for prompt in Self.prompts {
                let answer = try ToolCaller.message(holder.caller.ask("prompts/get", ["name": .string(prompt.name)]))
                #expect(Self.isGiven(answer, prompt.name, noPrompt) == prompts.contains(prompt.name), "\(holder.name) \(prompt.name)")
            }
            let noSheet = try ToolCaller.message(holder.caller.ask("resources/read", ["uri": "shop://nothing"]))
            for sheet in Self.resources {
                let uri = JSONValue.string("shop://\(sheet.name)")
                let answer = try ToolCaller.message(holder.caller.ask("resources/read", ["uri": uri]))
                #expect(Self.isGiven(answer, sheet.name, noSheet) == sheets.contains(sheet.name), "\(holder.name) \(sheet.name)")
            }
        }
    }

    @Test func tasksAndLargeResultsAreTheirCallersAlone() throws {
        let (server, holders) = try Self.serving()
        defer { #expect(server.terminate() == 0) }
        for name in Self.tasks {
            let tool = try #require(Self.tools.first { $0.name == name })
            for holder in holders {
                let made = try ToolCaller.message(
                    holder.caller.ask("tools/call", ["name": .string(name), "arguments": [:]], meta: ToolCaller.takesTasks))
                let task = made["result"]?["taskId"]?.string
                #expect((task != nil) == holder.may(tool), "\(holder.name) \(name) \(made)")
                guard let task else { continue }
                for other in holders {
                    let read = try ToolCaller.message(
                        other.caller.ask("tasks/get", ["taskId": .string(task)], meta: ToolCaller.takesTasks))
                    if other.name == holder.name {
                        #expect(read["result"]?["taskId"]?.string == task, "\(read)")
                    } else {
                        #expect(read["error"]?["code"]?.integer == -32_602, "\(other.name) reads the task of \(holder.name): \(read)")
                    }
                }
            }
        }
        for holder in holders where holder.names(Self.tools).contains(Self.large) {
            let answer = try holder.caller.call(Self.large)
            let link = answer["result"]?["content"]?.array?.first { $0["type"]?.string == "resource_link" }?["uri"]?.string
            let uri = JSONValue.string(try #require(link, "\(answer)"))
            for other in holders {
                let read = try ToolCaller.message(other.caller.ask("resources/read", ["uri": uri]))
                #expect((read["result"] != nil) == (other.name == holder.name), "\(other.name) \(holder.name) \(read)")
            }
        }
    }
}

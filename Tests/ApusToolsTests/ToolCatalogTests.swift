import ApusCore
import ApusCrypto
import ApusJSON
import ApusManifest
import ApusTestSupport
import Testing

@testable import ApusTools

@Suite struct ToolCatalogTests {
    private func catalog(
        _ functions: [ToolCatalog.Source], _ servers: [ToolServerManifest] = [], previous: ToolCatalog? = nil
    ) -> ToolCatalog {
        ToolCatalog(
            namespace: .default, functions: functions, servers: servers, secret: TestTools.secret, previous: previous)
    }

    @Test func anItemSaysWhatTheManifestSaysSchemasToTheByte() throws {
        let schema =
            #"{"type":"object","$defs":{"x":{"$anchor":"a"}},"properties":{"n":{"multipleOf":1.00}},"x-own":[1]}"#
        let source = try TestTools.source(
            "add", about: "Adds \"two\".", input: schema,
            more: ["title": "Add", "annotations": ["readOnly": true], "output": "{\"type\": \"object\"}"])
        let tool = try #require(Tool(source.manifest, revision: "1"))
        let canonical =
            #"{"name":"add","title":"Add","description":"Adds \"two\".","inputSchema":\#(schema),"outputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}"#
        let digest = Hex.encode(SHA256.hash(Array((canonical + "}").utf8)))
        #expect(tool.digest == digest)
        #expect(
            String(decoding: tool.encoded, as: UTF8.self) == canonical + #","_meta":{"apus.dev/sha256":"\#(digest)"}}"#)
        #expect(tool.inputSchema == Array(schema.utf8))
    }

    @Test func hiddenToolsAreNeitherListedNorCalledAndKeepTheirNames() throws {
        let sources = [
            try TestTools.source("search"), try TestTools.source("other"),
            try TestTools.source("search", function: "search-two", more: ["version": 2, "exposed": true]),
            try TestTools.source("x_search"),
        ]
        func catalog(_ disabled: Set<String>, previous: ToolCatalog? = nil) throws -> ToolCatalog {
            ToolCatalog(
                namespace: .default, functions: sources, servers: [], disabled: disabled, secret: TestTools.secret,
                previous: previous)
        }
        let caller = TestTools.caller()
        let all = try catalog([])
        #expect(try TestTools.walk(all, for: caller) == ["other", "search", "search__v2", "x_search"])
        let hidden = try catalog(["search"], previous: all)
        #expect(try TestTools.walk(hidden, for: caller) == ["other", "x_search"])
        for name in ["search", "search__v2"] { #expect(hidden.tool(named: name, for: caller) == nil) }
        #expect(hidden.change(from: all).concerns(caller, .tools, on: nil))
        // Whoever switches it finds it, and what ran before is still known.
        #expect(hidden.ownTool(named: "search") != nil)
        #expect(hidden.tool(of: try #require(ResourceName(.default, "search"))) != nil)
        let version = try catalog(["search__v2"], previous: hidden)
        #expect(try TestTools.walk(version, for: caller) == ["other", "search", "x_search"])
        for draw in 0..<200 { #expect(version.tool(named: "search", for: caller, draw: UInt64(draw))?.version == 1) }
        #expect(try TestTools.walk(try catalog([], previous: version), for: caller) == ["other", "search", "search__v2", "x_search"])
    }

    @Test func aWalkOfFiveThousandMeetsEachToolOnceInTheSameOrder() throws {
        let names = (0..<5_000).map { "tool_\($0)" }
        let sources = try names.map { try TestTools.source($0) }
        let one = self.catalog(sources)
        let walked = try TestTools.walk(one, for: TestTools.caller())
        #expect(walked == names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
        #expect(try TestTools.walk(self.catalog(sources.reversed()), for: TestTools.caller()) == walked)
    }

    @Test func aWalkDuringDeploysNeitherRepeatsNorHidesWhatDidNotChange() throws {
        var generator = SeededGenerator(seed: 3)
        var sources: [String: ToolCatalog.Source] = [:]
        for index in 0..<1_000 { sources["kept_\(index)"] = try TestTools.source("kept_\(index)") }
        let kept = Set(sources.keys)
        var catalog = self.catalog(Array(sources.values))
        var seen: [String] = []
        var cursor: String?
        repeat {
            let page = try catalog.page(of: .tools, cursor: cursor, for: TestTools.caller())
            seen += try TestTools.names(page)
            cursor = page.nextCursor
            for _ in 0..<20 {
                let name = "other_\(generator.next() % 500)"
                let early = "a\(name)"
                for name in [name, early] {
                    if sources.removeValue(forKey: name) == nil { sources[name] = try TestTools.source(name) }
                }
            }
            catalog = self.catalog(Array(sources.values), previous: catalog)
        } while cursor != nil
        #expect(Set(seen).count == seen.count, "none twice")
        #expect(kept.isSubset(of: seen), "none missing")
    }

    @Test func aCursorIsGoodForWhomAndWhatItWasGiven() throws {
        let sources = try (0..<150).map { try TestTools.source("tool_\($0)") }
        let servers = [try TestTools.server("one", [:]), try TestTools.server("two", [:])]
        let catalog = self.catalog(sources, servers)
        let alice = TestTools.caller()
        let first = try catalog.page(of: .tools, on: "one", cursor: "", for: alice)
        #expect(first.count == Limits.Tools.pageItems)
        let cursor = try #require(first.nextCursor)
        #expect(try catalog.page(of: .tools, on: "one", cursor: cursor, for: alice).count == 50)
        func isRefused(_ cursor: String, _ list: ToolList, _ server: String?, _ caller: ToolCaller) -> Bool {
            do throws(ToolCatalogError) {
                _ = try catalog.page(of: list, on: server, cursor: cursor, for: caller)
                return false
            } catch { return error == .invalidCursor }
        }
        #expect(isRefused(cursor, .tools, "two", alice))
        #expect(isRefused(cursor, .tools, nil, alice))
        #expect(isRefused(cursor, .prompts, "one", alice))
        #expect(isRefused(cursor, .tools, "one", TestTools.caller("bob")))
        for wrong in [
            "x", "AAAA", String(cursor.dropLast(4)), "Z" + cursor.dropFirst(), String(repeating: "A", count: 5_000),
        ] {
            #expect(isRefused(wrong, .tools, "one", alice), "\(wrong)")
        }
        let other = ToolCatalog(
            namespace: .default, functions: sources, servers: servers, secret: Array(repeating: 8, count: 32))
        let foreign = try #require(try other.page(of: .tools, on: "one", for: alice).nextCursor)
        #expect(isRefused(foreign, .tools, "one", alice))
    }

    /// A list that holds as much as is kept, and one page more, which is put together each time it is asked for.
    @Test func pagesAreKeptUpToABound() throws {
        let page = Limits.Tools.pageItems
        let item = [UInt8](repeating: UInt8(ascii: "1"), count: Limits.Tools.keptPartsBytes / page / 2 - 1)
        let entries = (0..<3 * page).map { ToolListing.Entry(key: "\(1_000 + $0)", encoded: item, scopes: []) }
        let listing = ToolListing(entries)
        for _ in 0..<2 {
            var first = 0
            for isLast in [false, false, true] {
                let part = listing.part(from: first, for: TestTools.caller())
                #expect(part.count == page)
                #expect(part.items.split(separator: UInt8(ascii: ",")).map(Array.init) == Array(repeating: item, count: page))
                #expect(part.last == (isLast ? nil : "\(1_000 + first + page - 1)"))
                first += page
            }
        }
        #expect(listing.keptBytes == 2 * (page * (item.count + 1) - 1))
        #expect(listing.part(from: entries.count, for: TestTools.caller()).count == 0)
    }

    @Test func whatNotAllSeeIsKeptForNobody() {
        let entries = ["a", "b"].map {
            ToolListing.Entry(key: $0, encoded: Array($0.utf8), scopes: $0 == "b" ? ["more"] : [])
        }
        let listing = ToolListing(entries)
        for _ in 0..<2 {
            #expect(listing.part(from: 0, for: TestTools.caller(scopes: ["more"])).items == Array("a,b".utf8))
            #expect(listing.part(from: 0, for: TestTools.caller()).items == Array("a".utf8))
        }
        #expect(listing.keptBytes == 0)
    }

    @Test func whatACallerMayNotUseIsNotThere() throws {
        let catalog = self.catalog([
            try TestTools.source("open"), try TestTools.source("closed", scopes: ["a", "b"]),
        ])
        let table: [(ToolCaller, [String])] = [
            (TestTools.caller(), ["open"]), (TestTools.caller(scopes: ["a"]), ["open"]),
            (TestTools.caller(scopes: ["a", "b"]), ["closed", "open"]),
            (TestTools.caller(roles: [.admin]), ["closed", "open"]),
            (TestTools.caller(roles: [.reader, .deployer]), []),
            (TestTools.caller(roles: [.admin], namespace: try #require(Namespace("other"))), []),
            (.anonymous(.default), ["open"]),
        ]
        for (caller, names) in table {
            #expect(try TestTools.walk(catalog, for: caller) == names)
            for name in ["open", "closed", "none"] {
                #expect((catalog.tool(named: name, for: caller) != nil) == names.contains(name), "\(caller) \(name)")
            }
        }
    }

    @Test func aServerShowsWhatItsSelectorTakes() throws {
        let catalog = self.catalog(
            [
                try TestTools.source("a", labels: ["team": "x", "kind": "k"]),
                try TestTools.source("b", labels: ["team": "x"]),
                try TestTools.source("c", more: ["exposed": true, "version": 3]),
            ],
            [
                try TestTools.server("all", [:]), try TestTools.server("x", ["tools": ["labels": ["team": "x"]]]),
                try TestTools.server("xk", ["tools": ["labels": ["team": "x", "kind": "k"]]]),
                try TestTools.server("named", ["tools": ["names": ["b", "none"]]]),
                try TestTools.server("version", ["tools": ["names": ["c__v3"]]]),
                try TestTools.server("none", ["tools": "none"]),
            ])
        for (server, names) in [
            ("all", ["a", "b", "c", "c__v3"]), ("x", ["a", "b"]), ("xk", ["a"]), ("named", ["b"]),
            ("version", ["c__v3"]),
            ("none", []),
        ] {
            #expect(try TestTools.walk(catalog, on: server, for: TestTools.caller()) == names, "\(server)")
            #expect(catalog.tool(named: "a", on: server, for: TestTools.caller()) != nil || !names.contains("a"))
        }
        #expect(try TestTools.walk(catalog, on: "unknown", for: TestTools.caller()) == [])
        #expect(catalog.servers.map(\.name.name) == ["all", "named", "none", "version", "x", "xk"])
    }

    @Test func aListIsPublicOnlyWhereEverybodySeesTheSame() throws {
        let open = try TestTools.source("open", labels: ["o": "1"])
        let catalog = self.catalog(
            [open, try TestTools.source("closed", scopes: ["a"])],
            [
                try TestTools.server("free", ["auth": "none", "tools": ["names": ["open"]]]),
                try TestTools.server("mixed", ["auth": "none"]),
                try TestTools.server("asking", ["tools": ["names": ["open"]]]),
            ])
        func isPublic(_ server: String?) throws -> Bool {
            try catalog.page(of: .tools, on: server, for: TestTools.caller()).isPublic
        }
        #expect(try isPublic("free"))
        #expect(try !isPublic("mixed") && !isPublic("asking") && !isPublic(nil))
    }

    @Test func callsAreSharedOutOverVersionsByTheirWeights() throws {
        func version(_ number: Int64, _ weight: Int64, exposed: Bool = false) throws -> ToolCatalog.Source {
            try TestTools.source(
                "get", function: "get-\(number)", about: "Version \(number).",
                more: ["version": .integer(number), "weight": .integer(weight), "exposed": .boolean(exposed)])
        }
        let catalog = self.catalog([
            try version(1, 90), try version(2, 10, exposed: true), try version(3, 0, exposed: true),
        ])
        let caller = TestTools.caller()
        var generator = SeededGenerator(seed: 5)
        var counts: [Int: Int] = [:]
        for _ in 0..<5_000 {
            let tool = try #require(catalog.tool(named: "get", for: caller, draw: generator.next()))
            counts[tool.version, default: 0] += 1
        }
        #expect((400...600).contains(counts[2] ?? 0) && counts[3] == nil, "\(counts)")
        #expect(try TestTools.walk(catalog, for: caller) == ["get", "get__v2", "get__v3"])
        #expect(catalog.tool(named: "get__v3", for: caller)?.version == 3)
        #expect(catalog.tool(named: "get__v1", for: caller) == nil, "not exposed")
        // What has begun goes on where it began.
        #expect((1...3).allSatisfy { catalog.tool(named: "get", version: $0, for: caller)?.version == $0 })
        #expect(catalog.tool(named: "get", version: 4, for: caller) == nil)
        #expect(catalog.tool(named: "get__v3", version: 2, for: caller) == nil)
        let item = try #require(catalog.item(named: "get", for: caller))
        #expect(try JSONValue.parse(item)["description"] == "Version 1.")
        let back = self.catalog([try version(1, 0), try version(2, 100)])
        #expect(back.tool(named: "get", for: caller, draw: 7)?.version == 2)
        #expect(self.catalog([try version(1, 0)]).tool(named: "get", for: caller) == nil)
    }

    @Test func aDeployTellsThoseWhoseListsAreDifferent() throws {
        let servers = [
            try TestTools.server("x", ["tools": ["labels": ["team": "x"]]]),
            try TestTools.server("y", ["tools": ["labels": ["team": "y"]]]),
        ]
        let first = self.catalog([try TestTools.source("a", labels: ["team": "x"])], servers)
        let same = self.catalog(
            [try TestTools.source("a", labels: ["team": "x"], revision: "2")], servers, previous: first)
        #expect(same.change(from: first).isEmpty, "a revision that looks the same")
        #expect(same.version == first.version + 1)
        let said = self.catalog(
            [try TestTools.source("a", about: "New.", labels: ["team": "x"], revision: "3")], servers, previous: same)
        let change = said.change(from: same)
        #expect(change.places == [.init(.tools, on: nil), .init(.tools, on: "x")])
        let closed = self.catalog(
            [
                try TestTools.source("a", about: "New.", labels: ["team": "x"], revision: "3"),
                try TestTools.source("b", labels: ["team": "y"], scopes: ["s"]),
            ], servers, previous: said)
        let quiet = closed.change(from: said)
        #expect(quiet.concerns(TestTools.caller(scopes: ["s"]), .tools, on: "y"))
        #expect(!quiet.concerns(TestTools.caller(), .tools, on: "y"), "it sees no difference")
        #expect(!quiet.concerns(TestTools.caller(scopes: ["s"]), .tools, on: "x"))
        #expect(self.catalog([], previous: closed).change(from: closed).places.contains(.init(.tools, on: "y")))
    }

    @Test func resourcesAreFoundByURIAndByTemplate() throws {
        func source(_ resource: JSONValue, _ name: String, scopes: [String] = []) throws -> ToolCatalog.Source {
            var resource = resource
            resource["scopes"] = .array(scopes.map { .string($0) })
            return ToolCatalog.Source(
                manifest: try TestTools.function(["resource": resource], function: name), revision: "1")
        }
        let catalog = self.catalog([
            try source(["uri": "test://a", "mimeType": "text/plain"], "a"),
            try source(["template": "test://t/{id}/data"], "t"),
            try source(["uri": "test://secret"], "s", scopes: ["s"]),
        ])
        guard case .resource(let resource) = catalog.resource(at: "test://a", for: TestTools.caller()) else {
            Issue.record("no resource")
            return
        }
        #expect(resource.function.name == "a")
        #expect(
            String(decoding: resource.encoded, as: UTF8.self)
                == #"{"uri":"test://a","name":"a","mimeType":"text/plain"}"#)
        guard
            case .template(let template, let values) = catalog.resource(at: "test://t/7/data", for: TestTools.caller())
        else {
            Issue.record("no template")
            return
        }
        #expect(template.function.name == "t" && values.map(\.value) == ["7"])
        #expect(catalog.resource(at: "test://secret", for: TestTools.caller()) == nil)
        #expect(catalog.resource(at: "test://none", for: TestTools.caller()) == nil)
    }

    @Test func argumentsThatAreHeadersTooAreKnown() throws {
        let source = try TestTools.source(
            "a",
            input:
                #"{"type":"object","properties":{"r":{"type":"string","x-mcp-header":"Region"},"o":{"type":"object","properties":{"n":{"type":"integer","x-mcp-header":"N"}}}}}"#
        )
        let tool = try #require(Tool(source.manifest, revision: "1"))
        #expect(tool.headers.map(\.header) == ["Region", "N"])
        #expect(tool.headers.map(\.path) == [["r"], ["o", "n"]])
        #expect(tool.headers.map(\.kind) == [.string, .integer])
    }
}

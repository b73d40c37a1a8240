import ApusCore
import ApusJSON
import ApusManifest
import Testing

@testable import ApusTools

@Suite struct ToolSearchTests {
    @Test func whatPeopleAskForIsAmongTheFirstFive() throws {
        let corpus = try SearchCorpus()
        let catalog = ToolCatalog(
            namespace: .default, functions: corpus.sources, servers: [], secret: TestTools.secret)
        #expect(corpus.sources.count >= 1_000)
        #expect(corpus.questions.count >= 300)
        // Words and weights were chosen by the one half; the other was never looked at.
        let heldBack = SearchQuality(catalog, corpus.questions.filter(\.isHeldBack))
        #expect(heldBack.recall >= 0.9, "\(heldBack)")
        #expect(heldBack.reciprocal >= 0.82, "\(heldBack)")
    }

    @Test(arguments: [
        ("getUserByID", ["get", "user", "by", "id"]), ("HTTPServer2Go", ["http", "server2", "go"]),
        ("snake_case-and.dots", ["snake", "case", "and", "dots"]), ("don't", ["dont"]), ("", []), ("été", ["été"]),
    ])
    func namesAreSplitIntoWords(text: String, words: [String]) { #expect(SearchTerms.words(text) == words) }

    @Test(arguments: [
        ("invoices", "invoice"), ("queries", "query"), ("deleting", "deleted"), ("stopped", "stop"),
        ("creation", "create"),
        ("boxes", "box"), ("cancelled", "cancel"), ("updates", "updating"),
    ])
    func formsOfAWordHaveOneStem(one: String, two: String) {
        #expect(SearchTerms.stem(one) == SearchTerms.stem(two), "\(SearchTerms.stem(one)) \(SearchTerms.stem(two))")
    }

    @Test(arguments: ["status", "address", "is", "bus", "news", "process"])
    func wordsThatOnlyLookLikeAPluralAreNot(word: String) {
        #expect(SearchTerms.stem(word).utf8.count >= min(3, word.utf8.count - 1))
    }

    private func catalog() throws -> ToolCatalog {
        try ToolCatalog(
            namespace: .default,
            functions: [
                TestTools.source("create_invoice", about: "Creates an invoice.", labels: ["team": "a"]),
                TestTools.source("delete_invoice", about: "Deletes an invoice.", scopes: ["invoices:write"]),
                TestTools.source(
                    "get_weather", about: "The weather at a place.", labels: ["team": "b"],
                    input:
                        #"{"type": "object", "properties": {"city": {"type": "string", "description": "Where to look"}}}"#
                ),
                TestTools.source("pay", about: "Pays an invoice.", more: ["version": 2, "weight": 0, "exposed": true]),
            ],
            servers: [
                TestTools.server("box", ["mode": "search", "tools": ["labels": ["team": "a"]]]),
                TestTools.server("all", ["mode": "search"]),
            ], secret: TestTools.secret)
    }

    @Test func nothingIsFoundThatTheCallerMayNotCall() throws {
        let catalog = try self.catalog()
        func names(_ question: String, _ server: String?, _ caller: ToolCaller) -> [String] {
            catalog.find(question, limit: 10, on: server, for: caller).tools.map(\.name.text)
        }
        #expect(names("remove an invoice", nil, TestTools.caller()) == ["create_invoice"])
        #expect(names("remove an invoice", nil, TestTools.caller(scopes: ["invoices:write"])).first == "delete_invoice")
        #expect(names("invoice", "box", TestTools.caller(scopes: ["invoices:write"])) == ["create_invoice"])
        #expect(names("weather", "box", TestTools.caller()).isEmpty)
        #expect(names("weather", nil, TestTools.caller(roles: [.reader])).isEmpty)
        #expect(names("wether in a city", nil, TestTools.caller()) == ["get_weather"], "one letter is missing")
        #expect(names("weather", "none", TestTools.caller()).isEmpty)
        #expect(names("weather", nil, TestTools.caller(namespace: try #require(Namespace("other")))).isEmpty)
    }

    @Test func aServerInSearchModeListsThreeToolsThatAnswerLikeTheOthers() throws {
        let catalog = try self.catalog()
        let caller = TestTools.caller()
        #expect(try TestTools.walk(catalog, on: "box", for: caller) == ["find_tools", "describe_tool", "call_tool"])
        #expect(try TestTools.walk(catalog, for: caller) == ["create_invoice", "get_weather", "pay__v2"])
        #expect(MetaTool("find_tools", on: catalog.server(named: "box")) == .find)
        #expect(MetaTool("find_tools", on: nil) == nil)
        let call = MetaCall(catalog, on: "all", for: caller)
        guard case .result(let found) = call.answer(.find, Array(#"{"query": "forecast", "limit": 1}"#.utf8)) else {
            Issue.record("no result")
            return
        }
        #expect(
            String(decoding: found, as: UTF8.self)
                == #"{"tools":[{"name":"get_weather","description":"The weather at a place."}],"ranking":"lexical"}"#)
        guard
            case .result(let described) = call.answer(
                .describe, Array(#"{"names": ["get_weather", "delete_invoice", "pay__v2", "pay"]}"#.utf8))
        else {
            Issue.record("no result")
            return
        }
        let value = try JSONValue.parse(described)
        #expect(value["tools"]?.array?.compactMap { $0["name"]?.string } == ["get_weather", "pay__v2"])
        #expect(
            value["unknown"] == ["delete_invoice", "pay"], "what may not be called is as unknown as what is not there")
        #expect(
            call.answer(.call, Array(#"{"name": "get_weather", "arguments": {"n": 1.00, "city": "ü"}}"#.utf8))
                == .call(name: "get_weather", arguments: Array(#"{"n": 1.00, "city": "ü"}"#.utf8)))
        #expect(call.answer(.call, Array(#"{"name": "x"}"#.utf8)) == .call(name: "x", arguments: Array("{}".utf8)))
    }

    @Test(arguments: [
        (MetaTool.find, "{}"), (.find, #"{"query": ""}"#), (.find, #"{"query": "a", "limit": 51}"#),
        (.find, #"{"query": "a", "limit": 0}"#), (.find, #"{"query": "a", "more": 1}"#),
        (.find, #"{"query": "a", "labels": []}"#),
        (.describe, #"{"names": []}"#), (.describe, #"{"names": [1]}"#), (.call, "{}"),
        (.call, #"{"name": "a", "arguments": []}"#), (.call, #"{"name": "call_tool"}"#), (.call, "[]"), (.call, "{"),
    ])
    func argumentsThatDoNotFitAreToldToTheModel(tool: MetaTool, arguments: String) throws {
        guard
            case .refused(let message) = MetaCall(try self.catalog(), on: "all", for: TestTools.caller())
                .answer(tool, Array(arguments.utf8))
        else {
            Issue.record("accepted")
            return
        }
        #expect(!message.isEmpty)
    }

    @Test func boundsOfAQuestionHold() throws {
        let call = MetaCall(try self.catalog(), on: "all", for: TestTools.caller())
        func ask(_ count: Int) -> MetaAnswer {
            call.answer(.find, Array("{\"query\": \"\(String(repeating: "a", count: count))\"}".utf8))
        }
        guard case .result = ask(Limits.Tools.questionBytes), case .refused = ask(Limits.Tools.questionBytes + 1) else {
            Issue.record("the bound is elsewhere")
            return
        }
        let names = { (count: Int) in
            Array("{\"names\": [\(Array(repeating: "\"a\"", count: count).joined(separator: ","))]}".utf8)
        }
        guard case .result = call.answer(.describe, names(Limits.Tools.describedTools)),
            case .refused = call.answer(.describe, names(Limits.Tools.describedTools + 1))
        else {
            Issue.record("the bound is elsewhere")
            return
        }
    }

    @Test func meaningFindsWhatWordsDoNotAndIsLeftOutWhereThereIsNone() throws {
        let catalog = try self.catalog()
        var vectors = ToolVectors()
        let places: [String: [Float]] = ["create_invoice": [1, 0, 0], "get_weather": [0, 1, 0], "pay": [0, 0, 2]]
        for tool in catalog.allTools {
            guard let place = places[tool.name.text] else { continue }
            let isAdded = vectors.add(place, for: tool)
            #expect(isAdded)
        }
        #expect(vectors.missing(of: catalog.allTools).map(\.name.text) == ["delete_invoice"])
        for wrong: [Float] in [[1, 0], [0, 0, 0], [.nan, 0, 1], []] {
            let isAdded = vectors.add(wrong, for: catalog.allTools[0])
            #expect(!isAdded, "\(wrong)")
        }
        let near = catalog.find("umbrella", limit: 1, for: TestTools.caller(), meaning: ([0.1, 0.9, 0], vectors))
        #expect(near.tools.map(\.name.text) == ["get_weather"] && near.ranking == .hybrid)
        let cold = catalog.find("umbrella", limit: 1, for: TestTools.caller(), meaning: ([1, 2], vectors))
        #expect(cold.tools.isEmpty && cold.ranking == .lexical)
        vectors.keep([])
        #expect(vectors.count == 0)
    }
}

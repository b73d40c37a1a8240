import ApusCore
import ApusJSON
import ApusStore
import ApusTools
import Testing

@testable import ApusManifest
@testable import ApusServer

/// The walk through an upstream's lists, at its bounds.
@Suite struct UpstreamListTests {
    /// An upstream whose lists are made page by page.
    /// - Parameter page: members of a page of a kind; its number counts from 0.
    private func walk(
        _ page: @escaping (UpstreamDefinition.Kind, Int) -> (items: [JSONValue], next: String?, more: Int)
    ) -> (outcome: Result<UpstreamList.Lists, UpstreamList.Problem>?, pages: [UpstreamDefinition.Kind: Int]) {
        var outcome: Result<UpstreamList.Lists, UpstreamList.Problem>?
        var asked: [UpstreamDefinition.Kind: Int] = [:]
        var waiting: [UpstreamDefinition.Kind] = []
        let list = UpstreamList { outcome = $0 }
        list.onNext = { kind, _ in waiting.append(kind) }
        list.begin()
        while outcome == nil, let kind = waiting.popLast() {
            let made = page(kind, asked[kind, default: 0])
            asked[kind, default: 0] += 1
            var result: JSONValue = ["padding": .string(String(repeating: "x", count: made.more))]
            result[UpstreamMessage.member(of: kind)] = .array(made.items)
            if let next = made.next { result["nextCursor"] = .string(next) }
            let block = EventBlock.encode(Event(data: JSONValue.object(["result": result]).encoded()))
            block.withUnsafeBytes { list.onResult($0) }
        }
        return (outcome, asked)
    }

    private static func tool(_ number: Int) -> JSONValue {
        ["name": .string("tool\(number)"), "description": "Does it.", "inputSchema": ["type": "object"]]
    }

    private static func text(_ outcome: Result<UpstreamList.Lists, UpstreamList.Problem>?) -> String {
        if case .failure(let problem)? = outcome { problem.text } else { "\(String(describing: outcome))" }
    }

    @Test func soManyPagesAreReadAndNoMore() throws {
        let most = Limits.ToolEndpoint.upstreamPages
        let (outcome, pages) = self.walk { kind, number in
            (kind == .tool ? [Self.tool(number)] : [], kind == .tool && number + 1 < most ? "next" : nil, 0)
        }
        let lists = try #require(try outcome?.get())
        #expect(lists.definitions.count == most && lists.kinds == Set(UpstreamDefinition.Kind.allCases) && pages[.tool] == most)
        let (endless, asked) = self.walk { _, number in ([Self.tool(number)], "next", 0) }
        #expect(Self.text(endless).contains("more than \(most) pages") && asked[.tool] == most, "\(Self.text(endless))")
    }

    /// Of what is not a tool an endless list costs that list alone.
    @Test func anEndlessListOfPromptsLeavesTheTools() throws {
        let (outcome, pages) = self.walk { kind, _ in (kind == .tool ? [Self.tool(0)] : [], kind == .prompt ? "next" : nil, 0) }
        let lists = try #require(try outcome?.get())
        #expect(lists.definitions.map(\.name) == ["tool0"] && !lists.kinds.contains(.prompt) && lists.kinds.contains(.resource))
        #expect(pages[.prompt] == Limits.ToolEndpoint.upstreamPages)
    }

    @Test func soManyBytesAreReadAndNoMore() throws {
        let half = Limits.ToolEndpoint.upstreamListBytes / 2
        let (outcome, _) = self.walk { kind, _ in (kind == .tool ? [Self.tool(0)] : [], nil, kind == .tool ? half : 0) }
        #expect(try outcome?.get().definitions.count == 1)
        let (heavy, pages) = self.walk { _, number in ([Self.tool(number)], "next", half) }
        let said = "more than \(Limits.ToolEndpoint.upstreamListBytes) bytes"
        #expect(Self.text(heavy).contains(said) && pages[.tool] == 2, "\(Self.text(heavy))")
    }

    @Test func soManyToolsAreTakenAndNoMore() throws {
        let most = Limits.Control.upstreamTools
        let (outcome, _) = self.walk { kind, _ in (kind == .tool ? (0..<most).map(Self.tool) : [], nil, 0) }
        #expect(try outcome?.get().definitions.count == most)
        let (over, _) = self.walk { _, _ in ((0...most).map(Self.tool), nil, 0) }
        #expect(Self.text(over).contains("more than \(most) tools"), "\(Self.text(over))")
    }
}

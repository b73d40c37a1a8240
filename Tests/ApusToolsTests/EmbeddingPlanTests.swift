import ApusCore
import ApusManifest
import Testing

@testable import ApusTools

@Suite struct EmbeddingPlanTests {
    private let now = Timestamp(milliseconds: 1_000)

    private func tools(_ count: Int) throws -> [Tool] {
        let sources = try (0..<count).map { try TestTools.source("tool_\($0)", about: "Does thing \($0).") }
        return ToolCatalog(namespace: .default, functions: sources, servers: [], secret: TestTools.secret).allTools
    }

    private func embedded(_ actions: [EmbeddingPlan.Action]) -> [(digest: String, round: UInt64)] {
        actions.compactMap { if case .embed(let digest, _, let round) = $0 { (digest, round) } else { nil } }
    }

    @Test func nothingIsEmbeddedBeforeSomebodySearches() throws {
        var plan = EmbeddingPlan()
        let offered = plan.offer(try self.tools(2), embedder: "1", now: self.now)
        #expect(offered.isEmpty)
        let wanted = plan.want(now: self.now)
        #expect(self.embedded(wanted).count == 2)
        let again = plan.want(now: self.now)
        #expect(again.isEmpty)
    }

    @Test func soManyAreUnderWayAtOnceAndAllGetTheirVector() throws {
        let tools = try self.tools(Limits.Tools.embeddings * 2 + 1)
        var plan = EmbeddingPlan()
        _ = plan.want(now: self.now)
        var open = self.embedded(plan.offer(tools, embedder: "1", now: self.now))
        #expect(open.count == Limits.Tools.embeddings)
        var published = 0
        while let next = open.popLast() {
            let actions = plan.answered(next.digest, [1, 2], round: next.round, now: self.now)
            published += actions.count { $0 == .publish }
            open += self.embedded(actions)
            #expect(open.count <= Limits.Tools.embeddings)
        }
        #expect(plan.vectors.count == tools.count && published == 1)
        let unchanged = plan.offer(tools, embedder: "1", now: self.now)
        #expect(unchanged.isEmpty, "what has its vector is not embedded again")
    }

    @Test func manyAreSearchedWithBeforeTheLastIsThere() throws {
        let tools = try self.tools(Limits.Tools.embeddingsPublished + 10)
        var plan = EmbeddingPlan()
        _ = plan.want(now: self.now)
        var open = self.embedded(plan.offer(tools, embedder: "1", now: self.now))
        var counts: [Int] = []
        while let next = open.popLast() {
            let actions = plan.answered(next.digest, [1, 2], round: next.round, now: self.now)
            if actions.contains(.publish) { counts.append(plan.vectors.count) }
            open += self.embedded(actions)
        }
        #expect(counts == [Limits.Tools.embeddingsPublished, tools.count])
    }

    @Test func anEmbedderThatFailsIsLeftAloneAndEachToolTriedAFewTimes() throws {
        var plan = EmbeddingPlan()
        _ = plan.want(now: self.now)
        var open = self.embedded(plan.offer(try self.tools(1), embedder: "1", now: self.now))
        var now = self.now
        var rests: [TimeSpan] = []
        while let next = open.popLast() {
            let actions = plan.answered(next.digest, nil, round: next.round, now: now)
            guard case .rest(let until)? = actions.last else { break }
            rests.append(until - now)
            let early = plan.due(now: now)
            #expect(early == [.rest(until: until)], "a timer that comes early waits on")
            now = until
            open = self.embedded(plan.due(now: now))
        }
        #expect(rests == [.seconds(1), .seconds(2)])
        let again = plan.offer(try self.tools(1), embedder: "1", now: now)
        #expect(again.isEmpty, "it is left to the search by words")
        let renewed = plan.offer(try self.tools(1), embedder: "2", now: now)
        #expect(self.embedded(renewed).count == 1, "another revision may do better")
    }

    @Test func restsAreBounded() throws {
        var plan = EmbeddingPlan()
        _ = plan.want(now: self.now)
        var now = self.now
        var open = self.embedded(plan.offer(try self.tools(40), embedder: "1", now: now))
        var longest = TimeSpan.zero
        for _ in 0..<200 {
            guard let next = open.popLast() else { break }
            for action in plan.answered(next.digest, nil, round: next.round, now: now) {
                if case .rest(let until) = action { longest = max(longest, until - now) }
            }
            if open.isEmpty {
                now = now + .seconds(Limits.Tools.embeddingRestSeconds)
                open = self.embedded(plan.due(now: now))
            }
        }
        #expect(longest == .seconds(Limits.Tools.embeddingRestSeconds))
    }

    @Test func vectorsOfAnotherRevisionAreNotMixedIn() throws {
        let tools = try self.tools(2)
        var plan = EmbeddingPlan()
        _ = plan.want(now: self.now)
        let first = self.embedded(plan.offer(tools, embedder: "1", now: self.now))
        _ = plan.answered(first[0].digest, [1, 0], round: first[0].round, now: self.now)
        #expect(plan.vectors.count == 1)
        let second = plan.offer(tools, embedder: "2", now: self.now)
        #expect(second.first == .publish && plan.vectors.count == 0)
        #expect(self.embedded(second).count == 2)
        let late = plan.answered(first[1].digest, [0, 1], round: first[1].round, now: self.now)
        #expect(late.isEmpty && plan.vectors.count == 0, "an answer of the embedder before")
        let gone = plan.offer(tools, embedder: nil, now: self.now)
        #expect(self.embedded(gone).isEmpty)
    }
}

internal import ApusCore

internal import Synchronization

/// Finds the tools of one snapshot that a question is about.
public final class ToolFinder: Sendable {
    public enum Ranking: String, Sendable { case lexical, hybrid }

    public struct Found: Sendable {
        public let tools: [Tool]
        /// Hybrid where the question and the tools had vectors.
        public let ranking: Ranking
    }

    private let tools: [Tool]
    /// By digest, from the snapshot before.
    private let known: [String: ToolDocument]
    // What it costs to make is spent at the first question, not at each deploy.
    private let index = Mutex<(index: ToolIndex, documents: [String: ToolDocument])?>(nil)

    /// Ranks count less the further down they are; this is how slowly.
    private static let rankOffset: Float = 20
    private static let meaningPart: Float = 0.7

    /// - Parameter previous: the documents of tools that are still there are taken from it.
    init(_ tools: [Tool], previous: ToolFinder?) {
        self.tools = tools
        self.known = previous.map { previous in previous.index.withLock { $0?.documents } ?? previous.known } ?? [:]
    }

    private func made() -> ToolIndex {
        let known = self.known
        return self.index.withLock { index in
            if let index { return index.index }
            let documents = self.tools.map { known[$0.digest] ?? ToolDocument($0) }
            let made = ToolIndex(self.tools, documents)
            index = (
                made, Dictionary(zip(self.tools.map(\.digest), documents), uniquingKeysWith: { first, _ in first })
            )
            return made
        }
    }

    func prepare() { _ = self.made() }

    /// The best tools that may be shown, at most `limit`.
    /// - Parameters:
    ///   - meaning: the question's vector with those of the tools, where there is an embedder that answers at once.
    ///   - isShown: whether the caller may know of a tool.
    func find(
        _ question: String, limit: Int, meaning: (question: [Float], tools: ToolVectors)? = nil,
        where isShown: (Tool) -> Bool
    ) -> Found {
        let index = self.made()
        var ranked = index.ranked(question)
        var ranking = Ranking.lexical
        if let meaning, let fused = Self.fused(ranked, index.tools, meaning) {
            ranked = fused
            ranking = .hybrid
        }
        return Found(
            tools: Array(ranked.lazy.map { index.tools[$0.tool] }.filter(isShown).prefix(limit)), ranking: ranking)
    }

    /// Both orders in one: what is high in either is high. Nil where no tool has a vector that can be compared.
    private static func fused(
        _ words: [(tool: Int, score: Float)], _ tools: [Tool], _ meaning: (question: [Float], tools: ToolVectors)
    ) -> [(tool: Int, score: Float)]? {
        let near = meaning.tools.nearness(tools, to: meaning.question).enumerated().compactMap { index, nearness in
            nearness.map { (tool: index, score: $0) }
        }.sorted { ($0.score, $1.tool) > ($1.score, $0.tool) }
        guard !near.isEmpty else { return nil }
        var scores: [Int: Float] = [:]
        for (rank, entry) in words.enumerated() { scores[entry.tool, default: 0] += 1 / (self.rankOffset + Float(rank)) }
        for (rank, entry) in near.prefix(Limits.Tools.nearTools).enumerated() {
            scores[entry.tool, default: 0] += self.meaningPart / (self.rankOffset + Float(rank))
        }
        return scores.map { (tool: $0.key, score: $0.value) }.sorted { ($0.score, $1.tool) > ($1.score, $0.tool) }
    }
}

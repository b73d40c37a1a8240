import ApusTools

/// How well a search finds the tool that each question means.
struct SearchQuality: CustomStringConvertible {
    var first = 0.0
    /// Among the first five.
    var recall = 0.0
    /// The mean of one over its rank.
    var reciprocal = 0.0

    init(
        _ catalog: ToolCatalog, _ questions: [SearchCorpus.Question],
        meaning: (Int) -> (question: [Float], tools: ToolVectors)? = { _ in nil }
    ) {
        let caller = TestTools.caller()
        for (index, question) in questions.enumerated() {
            let found = catalog.find(question.text, limit: 20, for: caller, meaning: meaning(index)).tools
            guard let rank = found.firstIndex(where: { $0.name.text == question.tool }) else { continue }
            if rank == 0 { self.first += 1 }
            if rank < 5 { self.recall += 1 }
            self.reciprocal += 1 / Double(rank + 1)
        }
        self.first /= Double(questions.count)
        self.recall /= Double(questions.count)
        self.reciprocal /= Double(questions.count)
    }

    private static func rounded(_ value: Double) -> Double { (value * 1_000).rounded() / 1_000 }

    var description: String {
        "recall@1 \(Self.rounded(self.first)), recall@5 \(Self.rounded(self.recall)), MRR \(Self.rounded(self.reciprocal))"
    }
}

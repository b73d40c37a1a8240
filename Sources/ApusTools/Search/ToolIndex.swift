internal import ApusCore

/// Which tools have which terms, for ranking by BM25 over fields of different weight.
struct ToolIndex: Sendable {
    private struct Posting: Sendable {
        let tool: UInt32
        /// The part of the score that does not depend on the question.
        let score: Float
    }

    let tools: [Tool]
    private let postings: [String: [Posting]]
    /// Terms by their first letter, for those of a question that are written wrong.
    private let spellings: [UInt8: [[UInt8]]]

    private static let saturation: Float = 1.2
    private static let lengthPart: Float = 0.6
    /// What a word that only means about the same counts, and one that is spelled nearly so.
    private static let synonymPart: Float = 0.45
    private static let spellingPart: Float = 0.7

    /// - Parameter documents: one for each tool.
    init(_ tools: [Tool], _ documents: [ToolDocument]) {
        self.tools = tools
        let mean = max(1, documents.reduce(0) { $0 + $1.length } / Float(max(1, documents.count)))
        var frequencies: [String: [(tool: UInt32, frequency: Float)]] = [:]
        for (index, document) in documents.enumerated() {
            for (term, frequency) in document.frequencies {
                frequencies[term, default: []].append((UInt32(index), frequency))
            }
        }
        let count = Float(documents.count)
        self.postings = frequencies.mapValues { list in
            let found = Float(list.count)
            // Natural logarithm by parts: `log` belongs to no module that this one imports.
            let rarity = Self.logarithm(1 + (count - found + 0.5) / (found + 0.5))
            return list.map { entry in
                let length = documents[Int(entry.tool)].length / mean
                let norm = Self.saturation * (1 - Self.lengthPart + Self.lengthPart * length)
                return Posting(
                    tool: entry.tool, score: rarity * entry.frequency * (Self.saturation + 1) / (entry.frequency + norm))
            }
        }
        self.spellings = Dictionary(
            grouping: frequencies.keys.filter { $0.utf8.count >= 4 }.map { Array($0.utf8) }, by: { $0[0] })
    }

    /// The tools that have something of the question, the best first; equals in the order of their names.
    func ranked(_ question: String) -> [(tool: Int, score: Float)] {
        var scores = [Float](repeating: 0, count: self.tools.count)
        var seen: Set<String> = []
        for term in SearchTerms.terms(question).prefix(Limits.Tools.questionTerms) where seen.insert(term).inserted {
            self.add(term, to: &scores)
        }
        return scores.indices.lazy.filter { scores[$0] > 0 }.map { ($0, scores[$0]) }.sorted { left, right in
            left.1 != right.1 ? left.1 > right.1 : self.tools[left.0].name < self.tools[right.0].name
        }
    }

    /// Of a word and those that mean about the same a tool counts the best only: who says it thrice means it once.
    private func add(_ term: String, to scores: inout [Float]) {
        var best: [UInt32: Float] = [:]
        func note(_ postings: [Posting], _ part: Float) {
            for posting in postings { best[posting.tool] = max(best[posting.tool] ?? 0, part * posting.score) }
        }
        if let own = self.postings[term] {
            note(own, 1)
        } else if let near = self.nearest(to: term) {
            note(self.postings[near] ?? [], Self.spellingPart)
        }
        for synonym in SearchSynonyms.of(term) { note(self.postings[synonym] ?? [], Self.synonymPart) }
        for (tool, score) in best { scores[Int(tool)] += score }
    }

    /// The known term with one letter more, less, changed or swapped.
    private func nearest(to term: String) -> String? {
        let bytes = Array(term.utf8)
        guard bytes.count >= 4 else { return nil }
        let near = (self.spellings[bytes[0]] ?? []).filter { Self.differByOne(bytes, $0) }
        return near.min { $0.lexicographicallyPrecedes($1) }.map { String(decoding: $0, as: UTF8.self) }
    }

    private static func differByOne(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        let (short, long) = left.count <= right.count ? (left, right) : (right, left)
        guard long.count - short.count <= 1 else { return false }
        var start = 0
        while start < short.count, short[start] == long[start] { start += 1 }
        var end = 0
        while end < short.count - start, short[short.count - 1 - end] == long[long.count - 1 - end] { end += 1 }
        let rest = short.count - start - end
        if long.count > short.count { return rest == 0 }
        if rest <= 1 { return true }
        return rest == 2 && short[start] == long[start + 1] && short[start + 1] == long[start]
    }

    /// The natural logarithm of a number from 1 up.
    private static func logarithm(_ value: Float) -> Float {
        var (value, result) = (value, Float(0))
        while value > 2 {
            value /= 2
            result += 0.693_147_18
        }
        // 2·artanh((v-1)/(v+1)), whose series ends quickly below 2.
        let z = (value - 1) / (value + 1)
        let square = z * z
        return result + 2 * z * (1 + square * (1 / 3 + square * (1 / 5 + square * (1 / 7 + square / 9))))
    }
}

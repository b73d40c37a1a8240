/// Guesses which known word was meant.
enum DidYouMean {
    private static let wordBytes = 64

    /// `: did you mean 'deploy'?`, or nothing when no known word is near.
    static func hint(_ word: String, _ known: [String]) -> String {
        self.nearest(word, known).map { ": did you mean '\($0)'?" } ?? ""
    }

    /// The known word with the fewest changed letters, when these are few for its length, or the only one that starts so.
    static func nearest(_ word: String, _ known: [String]) -> String? {
        guard (1...Self.wordBytes).contains(word.utf8.count) else { return nil }
        let ranked = known.map { (word: $0, edits: Self.edits(Array(word.utf8), Array($0.utf8))) }.sorted {
            ($0.edits, $0.word) < ($1.edits, $1.word)
        }
        if let best = ranked.first, best.edits <= max(1, min(word.utf8.count, best.word.utf8.count) / 3) {
            return best.word
        }
        let longer = known.filter { $0.hasPrefix(word) }
        return longer.count == 1 ? longer.first : nil
    }

    /// Insertions, removals, replacements and swaps of neighbours that make one of the other.
    private static func edits(_ left: [UInt8], _ right: [UInt8]) -> Int {
        guard !left.isEmpty, !right.isEmpty else { return max(left.count, right.count) }
        var older: [Int] = []
        var above = Array(0...right.count)
        for row in 1...left.count {
            var current = [row]
            for column in 1...right.count {
                let isSame = left[row - 1] == right[column - 1]
                var best = min(above[column] + 1, current[column - 1] + 1, above[column - 1] + (isSame ? 0 : 1))
                if row > 1, column > 1, left[row - 1] == right[column - 2], left[row - 2] == right[column - 1] {
                    best = min(best, older[column - 2] + 1)
                }
                current.append(best)
            }
            older = above
            above = current
        }
        return above[right.count]
    }
}

/// Guesses which known name was meant.
public enum Suggestion {
    /// `, did you mean "timeout"?`, or nothing when no known name is near.
    static func hint(for name: String, among known: [String]) -> String {
        self.nearest(to: name, among: known).map { ", did you mean `\($0)`?" } ?? ""
    }

    /// The known name with the fewest edits, when these are few for its length.
    public static func nearest(to name: String, among known: [String]) -> String? {
        guard name.utf8.count <= 64 else { return nil }
        let plain = self.plain(name)
        let ranked = known.map { (name: $0, edits: self.edits(plain, self.plain($0))) }
            .sorted { ($0.edits, $0.name) < ($1.edits, $1.name) }
        guard let best = ranked.first, best.edits <= max(1, min(name.utf8.count, best.name.utf8.count) / 3) else {
            return nil
        }
        return best.name
    }

    /// Lower case without `-` and `_`: `max_size` is meant as `maxSize`.
    private static func plain(_ name: String) -> [UInt8] {
        name.utf8.filter { $0 != UInt8(ascii: "-") && $0 != UInt8(ascii: "_") }
            .map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 + 32 : $0 }
    }

    /// Insertions, removals, replacements and swaps of neighbours that make one of the other.
    private static func edits(_ left: [UInt8], _ right: [UInt8]) -> Int {
        guard !left.isEmpty, !right.isEmpty else { return max(left.count, right.count) }
        var older = [Int](repeating: 0, count: right.count + 1)
        var above = Array(0...right.count)
        for row in 1...left.count {
            var current = [row]
            for column in 1...right.count {
                let cost = left[row - 1] == right[column - 1] ? 0 : 1
                var best = min(above[column] + 1, current[column - 1] + 1, above[column - 1] + cost)
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

internal import ApusCore
internal import ApusCrypto

/// One list of one server, in its order, every item encoded already.
struct ToolListing: Sendable {
    struct Entry: Sendable {
        /// What the list is sorted by, and what a cursor goes on behind.
        let key: String
        let encoded: [UInt8]
        /// Each of these a caller must have to see it.
        let scopes: [String]
    }

    /// Some neighbours of a list.
    struct Part: Sendable {
        /// As JSON with commas between them.
        var items: [UInt8] = []
        var count = 0
        /// The key of the last one where more follow.
        var last: String?
    }

    let entries: [Entry]
    /// Whether some callers see less than others.
    let isScoped: Bool
    private let kept = KeptParts()
    /// Of pages that were put together, for tests.
    var keptBytes: Int { self.kept.bytes }

    init(_ entries: [Entry]) {
        self.entries = entries.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        self.isScoped = entries.contains { !$0.scopes.isEmpty }
    }

    /// As many as a page has, of those that a caller may see.
    func part(from first: Int, for caller: ToolCaller) -> Part {
        // Where all see the same, most ask for the same.
        if self.isScoped { return self.made(from: first) { caller.mayUse($0.scopes) } }
        return self.kept.part(from: first) { self.made(from: first) { _ in true } }
    }

    private func made(from first: Int, where isShown: (Entry) -> Bool) -> Part {
        var shown: [Int] = []
        var last: String?
        for at in first..<self.entries.count where isShown(self.entries[at]) {
            if shown.count == Limits.Tools.pageItems {
                last = shown.last.map { self.entries[$0].key }
                break
            }
            shown.append(at)
        }
        var part = Part(count: shown.count, last: last)
        part.items.reserveCapacity(shown.reduce(shown.count) { $0 + self.entries[$1].encoded.count })
        for at in shown {
            if !part.items.isEmpty { part.items.append(UInt8(ascii: ",")) }
            part.items.append(contentsOf: self.entries[at].encoded)
        }
        return part
    }

    /// The first entry behind a key.
    func index(after key: String) -> Int {
        var (low, high) = (0, self.entries.count)
        while low < high {
            let middle = (low + high) / 2
            if key.utf8.lexicographicallyPrecedes(self.entries[middle].key.utf8) {
                high = middle
            } else {
                low = middle + 1
            }
        }
        return low
    }

    /// The scopes of what is in one of two lists only, or is not the same in both: who has none of them sees no change.
    func changes(from other: ToolListing) -> Set<[String]> {
        var changed: Set<[String]> = []
        var (left, right) = (0, 0)
        while left < self.entries.count || right < other.entries.count {
            let one = left < self.entries.count ? self.entries[left] : nil
            let two = right < other.entries.count ? other.entries[right] : nil
            switch (one, two) {
            case (let one?, let two?) where one.key.utf8.elementsEqual(two.key.utf8):
                if one.encoded != two.encoded || one.scopes != two.scopes {
                    changed.formUnion([one.scopes, two.scopes])
                }
                (left, right) = (left + 1, right + 1)
            case (let one?, let two?):
                if one.key.utf8.lexicographicallyPrecedes(two.key.utf8) {
                    changed.insert(one.scopes)
                    left += 1
                } else {
                    changed.insert(two.scopes)
                    right += 1
                }
            case (let one?, nil):
                changed.insert(one.scopes)
                left += 1
            case (nil, let two?):
                changed.insert(two.scopes)
                right += 1
            case (nil, nil): break
            }
        }
        return changed
    }
}

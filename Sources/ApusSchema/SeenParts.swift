/// Which members or elements of a value some keyword has looked at, for `unevaluatedProperties` and `unevaluatedItems`.
struct SeenParts {
    /// Whether anybody asks.
    let isWanted: Bool
    private(set) var hasAll = false
    private var marks: [UInt64] = []

    init(isWanted: Bool) { self.isWanted = isWanted }

    mutating func addAll() { if self.isWanted { self.hasAll = true } }

    /// Marks the member or element at a place.
    mutating func add(_ place: Int) {
        guard self.isWanted && !self.hasAll else { return }
        while self.marks.count <= place >> 6 { self.marks.append(0) }
        self.marks[place >> 6] |= 1 << UInt64(place & 63)
    }

    func has(_ place: Int) -> Bool {
        self.hasAll || (place >> 6 < self.marks.count && self.marks[place >> 6] & 1 << UInt64(place & 63) != 0)
    }

    mutating func add(_ other: SeenParts) {
        guard self.isWanted && !self.hasAll else { return }
        if other.hasAll { return self.addAll() }
        while self.marks.count < other.marks.count { self.marks.append(0) }
        for index in other.marks.indices { self.marks[index] |= other.marks[index] }
    }
}

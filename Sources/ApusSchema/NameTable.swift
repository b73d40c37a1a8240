/// Names of properties by their bytes: a table of open addressing, so that a member is found without building a `String`.
struct NameTable: Sendable {
    struct Entry: Sendable {
        /// What its value must be; nil where the name is only required.
        var schema: Int?
        /// Its place among the required names.
        var required: Int?
        fileprivate let hash: UInt32
        fileprivate let start: Int
        fileprivate let end: Int
    }

    private(set) var entries: [Entry] = []
    /// All names, one after another.
    private var bytes: [UInt8] = []
    /// One more than the entry's place; 0 where there is none. A power of two, at most half full.
    private var slots: [Int32] = []

    var isEmpty: Bool { self.entries.isEmpty }

    func name(_ place: Int) -> [UInt8] { Array(self.bytes[self.entries[place].start..<self.entries[place].end]) }

    mutating func set(_ name: [UInt8], schema: Int) {
        let entry = self.place(of: name)
        self.entries[entry].schema = schema
    }

    mutating func set(_ name: [UInt8], required: Int) {
        let entry = self.place(of: name)
        self.entries[entry].required = required
    }

    private mutating func place(of name: [UInt8]) -> Int {
        if let known = name.withUnsafeBytes({ self.find($0) }) { return known }
        let start = self.bytes.count
        self.bytes += name
        let hash = name.withUnsafeBytes { Self.hash($0) }
        self.entries.append(Entry(hash: hash, start: start, end: self.bytes.count))
        if self.slots.count < self.entries.count * 2 {
            self.slots = Array(repeating: 0, count: max(8, self.slots.count * 2))
            for place in self.entries.indices { self.insert(place) }
        } else {
            self.insert(self.entries.count - 1)
        }
        return self.entries.count - 1
    }

    private mutating func insert(_ place: Int) {
        var slot = Int(self.entries[place].hash) & (self.slots.count - 1)
        while self.slots[slot] != 0 { slot = (slot + 1) & (self.slots.count - 1) }
        self.slots[slot] = Int32(place + 1)
    }

    /// The place of a name among the entries.
    func find(_ name: UnsafeRawBufferPointer) -> Int? {
        guard !self.slots.isEmpty else { return nil }
        let hash = Self.hash(name)
        var slot = Int(hash) & (self.slots.count - 1)
        while case let place = Int(self.slots[slot]), place != 0 {
            if self.entries[place - 1].hash == hash, self.isName(place - 1, name) { return place - 1 }
            slot = (slot + 1) & (self.slots.count - 1)
        }
        return nil
    }

    private func isName(_ place: Int, _ name: UnsafeRawBufferPointer) -> Bool {
        let start = self.entries[place].start
        guard self.entries[place].end - start == name.count else { return false }
        for offset in 0..<name.count where self.bytes[start + offset] != name[offset] { return false }
        return true
    }

    /// FNV-1a. The names in the table are the schema's, so a caller who picks names cannot make it slow.
    private static func hash(_ name: UnsafeRawBufferPointer) -> UInt32 {
        var hash: UInt32 = 0x811C_9DC5
        for byte in name { hash = (hash ^ UInt32(byte)) &* 0x0100_0193 }
        return hash ^ (hash >> 15)
    }
}

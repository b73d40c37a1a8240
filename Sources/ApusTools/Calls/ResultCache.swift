public import ApusCore

/// Results of calls that only read, for the same call again. Bounded by number and bytes: the oldest go first. A machine.
public struct ResultCache: Sendable {
    public struct Result: Sendable, Equatable {
        /// Of the answer, as JSON without the braces around them.
        public var members: [UInt8]
        /// Of the invocation that gave it.
        public var invocation: String

        public init(members: [UInt8], invocation: String) {
            self.members = members
            self.invocation = invocation
        }
    }

    private struct Entry {
        var result: Result
        var until: Timestamp
        /// Its place in the order.
        var number: UInt64
    }

    private var entries: [[UInt8]: Entry] = [:]
    /// The oldest first; those that were replaced since are passed over.
    private var order: [(key: [UInt8], number: UInt64)] = []
    private var head = 0
    private var next: UInt64 = 0
    public private(set) var bytes = 0
    private let entriesMax: Int
    private let bytesMax: Int

    public init(
        entriesMax: Int = Limits.Tools.cachedResults, bytesMax: Int = Limits.Tools.cachedBytes
    ) {
        self.entriesMax = entriesMax
        self.bytesMax = bytesMax
    }

    public var count: Int { self.entries.count }

    /// - Parameter key: a digest of all that the result depends on.
    public mutating func find(_ key: [UInt8], now: Timestamp) -> Result? {
        guard let entry = self.entries[key] else { return nil }
        guard now < entry.until else {
            self.remove(key)
            return nil
        }
        return entry.result
    }

    public mutating func keep(_ result: Result, for key: [UInt8], until: Timestamp) {
        let size = Self.size(key, result)
        // One that would push out much is not worth it.
        guard size <= self.bytesMax / 8 else { return }
        self.remove(key)
        while self.head < self.order.count, self.entries.count >= self.entriesMax || self.bytes + size > self.bytesMax {
            let oldest = self.order[self.head]
            self.head += 1
            if self.entries[oldest.key]?.number == oldest.number { self.remove(oldest.key) }
        }
        self.next += 1
        self.entries[key] = Entry(result: result, until: until, number: self.next)
        self.order.append((key, self.next))
        self.bytes += size
        self.tidy()
    }

    private mutating func remove(_ key: [UInt8]) {
        guard let entry = self.entries.removeValue(forKey: key) else { return }
        self.bytes -= Self.size(key, entry.result)
    }

    /// What was passed over takes no more room than what is there.
    private mutating func tidy() {
        guard self.order.count > 2 * self.entriesMax || self.head > self.entriesMax else { return }
        self.order = self.order[self.head...].filter { self.entries[$0.key]?.number == $0.number }
        self.head = 0
    }

    private static func size(_ key: [UInt8], _ result: Result) -> Int {
        key.count + result.members.count + result.invocation.utf8.count
    }
}

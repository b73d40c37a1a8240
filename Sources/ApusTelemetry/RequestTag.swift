internal import ApusCore

/// Names one request in answers and log lines: 32 hexadecimal digits.
public struct RequestTag: Sendable, Hashable, CustomStringConvertible {
    public let high: UInt64
    public let low: UInt64
    public var description: String { hexadecimal(self.high) + hexadecimal(self.low) }
}

/// Gives out ids that no other process or thread gives out: random bits of its own and a counter, so that the next one costs an
/// addition. They are names, not secrets.
public struct RequestTagGenerator: Sendable {
    private let high: UInt64
    private var low: UInt64

    public init() {
        var random = SystemRandomNumberGenerator()
        self.high = random.next()
        self.low = random.next()
    }

    public mutating func next() -> RequestTag {
        self.low &+= 1
        return RequestTag(high: self.high, low: self.low)
    }
}

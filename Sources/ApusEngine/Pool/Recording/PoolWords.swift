internal import ApusCore

/// The words of one line of a recording, read from the left. What is missing or is no number is nil, and so is all after it.
struct PoolWords {
    private var words: ArraySlice<Substring>

    init(_ line: Substring) { self.words = line.split(separator: " ", omittingEmptySubsequences: false)[...] }

    mutating func word() -> Substring? { self.words.popFirst() }
    mutating func number<Number: FixedWidthInteger>(_: Number.Type = Number.self) -> Number? {
        self.word().flatMap { Number($0) }
    }
    mutating func real() -> Double? { self.word().flatMap { Double($0) } }
    mutating func truth() -> Bool? {
        switch self.word() {
        case "yes": true
        case "no": false
        default: nil
        }
    }
    mutating func function() -> FunctionID? { self.number(UInt32.self).map { FunctionID(rawValue: $0) } }
    mutating func instance() -> InstanceID? { self.number(UInt64.self).map { InstanceID(rawValue: $0) } }
    mutating func device() -> DeviceID? { self.number(Int.self).map { DeviceID($0) } }
    mutating func span() -> TimeSpan? { self.number(Int64.self).map { TimeSpan(microseconds: $0) } }

    /// What may be left open: `-` is nil. The outer nil is a fault.
    mutating func optional<Value>(_ read: (Substring) -> Value?) -> Value?? {
        guard let word = self.word() else { return nil }
        if word == "-" { return .some(nil) }
        return read(word).map { .some($0) }
    }

    /// All that is left, with its spaces.
    mutating func rest() -> String {
        defer { self.words = [] }
        return self.words.joined(separator: " ")
    }

    var isAtEnd: Bool { self.words.isEmpty }
}

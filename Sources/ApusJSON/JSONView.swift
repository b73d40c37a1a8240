/// A value on simdjson's tape, read in place: one 64-bit word a value, its kind in the top byte.
///
/// `{` and `[` hold the index after their end (low 32 bits) and a saturated count; a string holds its place in the
/// string buffer (4-byte length, then UTF-8); `l`, `u` and `d` are followed by one word with the number. Valid only
/// within the closure it was lent to.
public struct JSONView {
    /// What a JSON value is.
    public enum Kind: Sendable { case null, boolean, integer, unsigned, double, string, array, object }

    let tape: UnsafePointer<UInt64>
    let strings: UnsafePointer<UInt8>
    let at: Int

    private var tag: UInt8 { UInt8(truncatingIfNeeded: self.tape[self.at] >> 56) }
    private var payload: Int { Int(self.tape[self.at] & 0x00FF_FFFF_FFFF_FFFF) }

    /// The tape index just after this value.
    fileprivate var end: Int {
        switch self.tag {
        case UInt8(ascii: "{"), UInt8(ascii: "["): self.payload & 0xFFFF_FFFF
        case UInt8(ascii: "l"), UInt8(ascii: "u"), UInt8(ascii: "d"): self.at + 2
        default: self.at + 1
        }
    }

    public var kind: Kind {
        switch self.tag {
        case UInt8(ascii: "{"): .object
        case UInt8(ascii: "["): .array
        case UInt8(ascii: "\""): .string
        case UInt8(ascii: "l"): .integer
        case UInt8(ascii: "u"): .unsigned
        case UInt8(ascii: "d"): .double
        case UInt8(ascii: "t"), UInt8(ascii: "f"): .boolean
        default: .null
        }
    }

    public var isNull: Bool { self.kind == .null }

    public var boolean: Bool? {
        switch self.tag {
        case UInt8(ascii: "t"): true
        case UInt8(ascii: "f"): false
        default: nil
        }
    }

    /// A number written without fraction and exponent that fits 64 bits with sign.
    public var integer: Int64? { self.tag == UInt8(ascii: "l") ? Int64(bitPattern: self.tape[self.at + 1]) : nil }

    /// A number written without fraction and exponent that is not negative and fits 64 bits.
    public var unsigned: UInt64? {
        switch self.tag {
        case UInt8(ascii: "u"): self.tape[self.at + 1]
        case UInt8(ascii: "l"): UInt64(exactly: Int64(bitPattern: self.tape[self.at + 1]))
        default: nil
        }
    }

    /// Any number; large integers are rounded.
    public var double: Double? {
        switch self.tag {
        case UInt8(ascii: "d"): Double(bitPattern: self.tape[self.at + 1])
        case UInt8(ascii: "u"): Double(self.tape[self.at + 1])
        case UInt8(ascii: "l"): Double(Int64(bitPattern: self.tape[self.at + 1]))
        default: nil
        }
    }

    public var string: String? {
        guard let utf8 = self.utf8 else { return nil }
        return String(decoding: utf8, as: UTF8.self)
    }

    /// A string's bytes, unescaped, where they lie.
    public var utf8: UnsafeRawBufferPointer? {
        guard self.tag == UInt8(ascii: "\"") else { return nil }
        let start = UnsafeRawPointer(self.strings + self.payload)
        return UnsafeRawBufferPointer(start: start + 4, count: Int(start.loadUnaligned(as: UInt32.self)))
    }

    /// The value of the first member of that name, found by walking; nil when there is none or this is no object.
    public subscript(name: String) -> JSONView? {
        for member in self.members where member.isNamed(name) { return member.value }
        return nil
    }

    /// The element at `index`, found by walking; nil past the end or when this is no array.
    public subscript(index: Int) -> JSONView? {
        var position = 0
        for element in self.elements {
            if position == index { return element }
            position += 1
        }
        return nil
    }

    /// An object's members in order, duplicates included; nothing for other kinds.
    public var members: Members { Members(self, self.tag == UInt8(ascii: "{")) }

    /// An array's elements in order; nothing for other kinds.
    public var elements: Elements { Elements(self, self.tag == UInt8(ascii: "[")) }

    /// A member of an object.
    public struct Member {
        /// The name, as a value of its own.
        public let key: JSONView
        public let value: JSONView
        public var name: String { self.key.string ?? "" }
        /// The name's bytes, unescaped, where they lie.
        public var nameUTF8: UnsafeRawBufferPointer? { self.key.utf8 }

        /// Whether this is its name, without building it.
        public func isNamed(_ name: String) -> Bool {
            guard let own = self.key.utf8, own.count == name.utf8.count else { return false }
            return own.elementsEqual(name.utf8)
        }
    }

    public struct Members: Sequence, IteratorProtocol {
        private let container: JSONView
        private var at: Int
        private let last: Int

        fileprivate init(_ view: JSONView, _ isContainer: Bool) {
            self.container = view
            self.at = view.at + 1
            self.last = isContainer ? view.end - 1 : 0
        }

        public mutating func next() -> Member? {
            guard self.at < self.last else { return nil }
            let key = JSONView(tape: self.container.tape, strings: self.container.strings, at: self.at)
            let value = JSONView(tape: self.container.tape, strings: self.container.strings, at: self.at + 1)
            self.at = value.end
            return Member(key: key, value: value)
        }
    }

    public struct Elements: Sequence, IteratorProtocol {
        private let container: JSONView
        private var at: Int
        private let last: Int

        fileprivate init(_ view: JSONView, _ isContainer: Bool) {
            self.container = view
            self.at = view.at + 1
            self.last = isContainer ? view.end - 1 : 0
        }

        public mutating func next() -> JSONView? {
            guard self.at < self.last else { return nil }
            let value = JSONView(tape: self.container.tape, strings: self.container.strings, at: self.at)
            self.at = value.end
            return value
        }
    }
}

public import ApusCore

/// Where the members of an object lie in a text, found by one checked walk that builds nothing: for what is passed on byte for byte.
public struct JSONSlices {
    /// What begins a value.
    public enum Kind: Sendable, Equatable { case object, array, string, number, boolean, null }

    /// A value where it lies.
    public struct Value: Sendable, Equatable {
        public var range: Range<Int>
        public var kind: Kind

        public init(range: Range<Int>, kind: Kind) {
            self.range = range
            self.kind = kind
        }
    }

    private var scanner: JSONScanner
    private let depth: Int

    private init(_ text: UnsafeRawBufferPointer, _ depth: Int) {
        self.scanner = JSONScanner(text)
        self.depth = depth
    }

    /// The one value that a text holds, checked to its end.
    /// - Throws: where it is no JSON, or nested deeper than `depth`.
    public static func document(
        _ text: UnsafeRawBufferPointer, depth: Int = Limits.JSON.depth
    ) throws(JSONSyntaxError) -> Value {
        var walk = JSONSlices(text, depth)
        walk.scanner.skipSpace()
        let value = try walk.value(0)
        walk.scanner.skipSpace()
        guard walk.scanner.isAtEnd else { throw walk.scanner.fail("the end") }
        return value
    }

    /// Shows the members of an object that was checked before, in their order, those with one name each by itself.
    /// - Parameter visit: gets the name without its quotes, as it was written, and the value.
    public static func forEachMember(
        of object: Value, in text: UnsafeRawBufferPointer, _ visit: (UnsafeRawBufferPointer, Value) -> Void
    ) {
        guard object.kind == .object else { return }
        var walk = JSONSlices(text, .max)
        walk.scanner.at = object.range.lowerBound + 1
        do throws(JSONSyntaxError) {
            while true {
                walk.scanner.skipSpace()
                guard walk.scanner.peek == UInt8(ascii: "\"") else { return }
                let start = walk.scanner.at + 1
                try walk.scanner.string()
                let name = UnsafeRawBufferPointer(rebasing: text[start..<walk.scanner.at - 1])
                walk.scanner.skipSpace()
                walk.scanner.at += 1
                walk.scanner.skipSpace()
                visit(name, try walk.value(0))
                walk.scanner.skipSpace()
                guard walk.scanner.take(UInt8(ascii: ",")) else { return }
            }
        } catch {
            preconditionFailure("it was checked before: \(error)")
        }
    }

    /// Shows the elements of an array that was checked before.
    public static func forEachElement(
        of array: Value, in text: UnsafeRawBufferPointer, _ visit: (Value) -> Void
    ) {
        guard array.kind == .array else { return }
        var walk = JSONSlices(text, .max)
        walk.scanner.at = array.range.lowerBound + 1
        do throws(JSONSyntaxError) {
            walk.scanner.skipSpace()
            guard walk.scanner.peek != UInt8(ascii: "]") else { return }
            while true {
                walk.scanner.skipSpace()
                visit(try walk.value(0))
                walk.scanner.skipSpace()
                guard walk.scanner.take(UInt8(ascii: ",")) else { return }
            }
        } catch {
            preconditionFailure("it was checked before: \(error)")
        }
    }

    /// What a string that was checked before says.
    public static func text(of string: Value, in text: UnsafeRawBufferPointer) -> String? {
        string.kind == .string ? JSONScanner(text).unescaped(string.range) : nil
    }

    private mutating func value(_ level: Int) throws(JSONSyntaxError) -> Value {
        let start = self.scanner.at
        let kind: Kind
        switch self.scanner.peek {
        case UInt8(ascii: "{"):
            kind = .object
            try self.object(level)
        case UInt8(ascii: "["):
            kind = .array
            try self.array(level)
        default: kind = try self.scanner.scalar()
        }
        return Value(range: start..<self.scanner.at, kind: kind)
    }

    private mutating func object(_ level: Int) throws(JSONSyntaxError) {
        try self.scanner.enter(level, depth: self.depth)
        self.scanner.skipSpace()
        guard !self.scanner.take(UInt8(ascii: "}")) else { return }
        while true {
            self.scanner.skipSpace()
            guard self.scanner.peek == UInt8(ascii: "\"") else { throw self.scanner.fail("a name in quotes") }
            try self.scanner.string()
            try self.scanner.colon()
            _ = try self.value(level + 1)
            self.scanner.skipSpace()
            guard try self.scanner.continues(isObject: true) else { return }
        }
    }

    private mutating func array(_ level: Int) throws(JSONSyntaxError) {
        try self.scanner.enter(level, depth: self.depth)
        self.scanner.skipSpace()
        guard !self.scanner.take(UInt8(ascii: "]")) else { return }
        while true {
            self.scanner.skipSpace()
            _ = try self.value(level + 1)
            self.scanner.skipSpace()
            guard try self.scanner.continues(isObject: false) else { return }
        }
    }
}

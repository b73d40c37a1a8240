/// What every walk over JSON reads alike: values that hold no others, and what stands between those that one holds.
extension JSONScanner {
    /// A value that holds no others.
    /// - Throws: where an object or an array begins, too.
    mutating func scalar() throws(JSONSyntaxError) -> JSONSlices.Kind {
        switch self.peek {
        case UInt8(ascii: "\""):
            try self.string()
            return .string
        case UInt8(ascii: "t"):
            try self.word("true")
            return .boolean
        case UInt8(ascii: "f"):
            try self.word("false")
            return .boolean
        case UInt8(ascii: "n"):
            try self.word("null")
            return .null
        case UInt8(ascii: "-"), .some(UInt8(ascii: "0")...UInt8(ascii: "9")):
            try self.number()
            return .number
        default: throw self.fail("a value")
        }
    }

    /// Into an object or an array, of which its bracket is the next byte.
    /// - Parameters:
    ///   - level: how many are open.
    ///   - depth: how many may be.
    mutating func enter(_ level: Int, depth: Int) throws(JSONSyntaxError) {
        guard level < depth else {
            throw self.fail("at most \(depth) objects and arrays inside one another", found: "one more")
        }
        self.at += 1
    }

    /// Behind a member or an element: to the next one, or out by the closing bracket.
    /// - Returns: whether there is a next one.
    mutating func continues(isObject: Bool) throws(JSONSyntaxError) -> Bool {
        if self.take(UInt8(ascii: ",")) { return true }
        guard self.take(isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) else {
            throw self.fail(isObject ? "`,` or `}`" : "`,` or `]`")
        }
        return false
    }

    /// From behind a member's name to its value.
    mutating func colon() throws(JSONSyntaxError) {
        self.skipSpace()
        guard self.take(UInt8(ascii: ":")) else { throw self.fail("`:`") }
        self.skipSpace()
    }
}

public import ApusCore

/// Walks the grammar of RFC 8259 without building anything: says where a text is wrong and where its parts lie.
///
/// It accepts what the grammar accepts, also numbers that no 64 bits hold. Depth is bounded, bytes must be UTF-8.
public struct JSONChecker {
    /// A member of the outermost object: its name, and the bytes of its value without the space around it.
    public struct Member: Sendable, Equatable {
        public let name: String
        public let value: Range<Int>
    }

    /// Checks that `text` is one JSON value.
    /// - Parameter refusesDuplicates: whether two members of one object may not have the same name.
    /// - Throws: where the text is wrong and what was expected.
    public static func check(
        _ text: UnsafeRawBufferPointer, depth: Int = Limits.JSON.depth, refusesDuplicates: Bool = false
    ) throws(JSONSyntaxError) {
        var checker = JSONChecker(text, depth: depth, refusesDuplicates: refusesDuplicates)
        try checker.walk()
    }

    /// Checks that `text` is one JSON object, whose own members have different names, and says where its members'
    /// values lie.
    /// - Throws: where the text is wrong and what was expected.
    public static func members(
        of text: UnsafeRawBufferPointer, depth: Int = Limits.JSON.depth, refusesDuplicates: Bool = true
    ) throws(JSONSyntaxError) -> [Member] {
        var checker = JSONChecker(text, depth: depth, refusesDuplicates: refusesDuplicates)
        checker.wantsMembers = true
        checker.scanner.skipSpace()
        guard checker.scanner.peek == UInt8(ascii: "{") else { throw checker.scanner.fail("an object") }
        try checker.walk()
        return checker.members
    }

    private enum Expectation { case value, elementOrEnd, key, keyOrEnd, afterValue }

    private struct Container {
        let isObject: Bool
        var names: Set<String> = []
    }

    private var scanner: JSONScanner
    private let depth: Int
    private let refusesDuplicates: Bool
    private var wantsMembers = false
    private var members: [Member] = []
    private var stack: [Container] = []
    /// The member of the outermost object whose value is being walked.
    private var open: (name: String, start: Int)?

    private init(_ text: UnsafeRawBufferPointer, depth: Int, refusesDuplicates: Bool) {
        self.scanner = JSONScanner(text)
        self.depth = depth
        self.refusesDuplicates = refusesDuplicates
    }

    private mutating func walk() throws(JSONSyntaxError) {
        var next = Expectation.value
        while true {
            self.scanner.skipSpace()
            switch next {
            case .value: next = try self.value()
            case .elementOrEnd: next = self.scanner.take(UInt8(ascii: "]")) ? self.close() : try self.value()
            case .key: next = try self.key("a name in quotes")
            case .keyOrEnd:
                next = self.scanner.take(UInt8(ascii: "}")) ? self.close() : try self.key("a name in quotes or `}`")
            case .afterValue:
                guard let container = self.stack.last else {
                    guard self.scanner.isAtEnd else { throw self.scanner.fail("the end of the text") }
                    return
                }
                next = try self.afterValue(container.isObject)
            }
        }
    }

    private mutating func value() throws(JSONSyntaxError) -> Expectation {
        switch self.scanner.peek {
        case UInt8(ascii: "{"): return try self.push(isObject: true)
        case UInt8(ascii: "["): return try self.push(isObject: false)
        default: _ = try self.scanner.scalar()
        }
        return self.ended()
    }

    private mutating func push(isObject: Bool) throws(JSONSyntaxError) -> Expectation {
        try self.scanner.enter(self.stack.count, depth: self.depth)
        self.stack.append(Container(isObject: isObject))
        return isObject ? .keyOrEnd : .elementOrEnd
    }

    private mutating func close() -> Expectation {
        self.stack.removeLast()
        return self.ended()
    }

    /// A value has just ended.
    private mutating func ended() -> Expectation {
        if self.stack.count == 1, let open = self.open {
            self.members.append(Member(name: open.name, value: open.start..<self.scanner.at))
            self.open = nil
        }
        return .afterValue
    }

    private mutating func key(_ expected: String) throws(JSONSyntaxError) -> Expectation {
        guard self.scanner.peek == UInt8(ascii: "\"") else { throw self.scanner.fail(expected) }
        let start = self.scanner.at
        try self.scanner.string()
        let isOutermost = self.stack.count == 1
        if self.refusesDuplicates || (self.wantsMembers && isOutermost) {
            let name = self.scanner.unescaped(start..<self.scanner.at)
            if self.refusesDuplicates, !self.stack[self.stack.count - 1].names.insert(name).inserted {
                self.scanner.at = start
                throw self.scanner.fail("a name that is not there yet", found: "a second \"\(name)\"")
            }
            if self.wantsMembers, isOutermost { self.open = (name, 0) }
        }
        try self.scanner.colon()
        if isOutermost { self.open?.start = self.scanner.at }
        return .value
    }

    private mutating func afterValue(_ isObject: Bool) throws(JSONSyntaxError) -> Expectation {
        guard try self.scanner.continues(isObject: isObject) else { return self.close() }
        return isObject ? .key : .value
    }
}

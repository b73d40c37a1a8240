public import ApusCore

/// Finds the values at some paths of a JSON text in one walk that builds nothing.
public struct JSONPaths {
    /// Where the values lie, for each path; nil where there is none. All are nil when the text is no JSON or nested too deep.
    ///
    /// Of two members with one name the later counts.
    /// - Parameter paths: at most 64 are looked for.
    public static func find(
        _ paths: [[DataStep]], in text: UnsafeRawBufferPointer, depth: Int = Limits.Filter.dataDepth
    ) -> [Range<Int>?] {
        let nothing = [Range<Int>?](repeating: nil, count: paths.count)
        var walk = JSONPaths(text, paths, depth, nothing)
        do throws(JSONSyntaxError) {
            let all: UInt64 = paths.count >= 64 ? .max : (1 << UInt64(paths.count)) - 1
            walk.scanner.skipSpace()
            try walk.value(all, 0)
            walk.scanner.skipSpace()
            return walk.scanner.isAtEnd ? walk.found : nothing
        } catch {
            return nothing
        }
    }

    /// What a string in checked JSON says.
    /// - Parameter range: where it lies, with its quotes.
    public static func text(of range: Range<Int>, in text: UnsafeRawBufferPointer) -> String {
        JSONScanner(text).unescaped(range)
    }

    private var scanner: JSONScanner
    private let paths: [[DataStep]]
    private let depth: Int
    private var found: [Range<Int>?]

    private init(_ text: UnsafeRawBufferPointer, _ paths: [[DataStep]], _ depth: Int, _ nothing: [Range<Int>?]) {
        self.scanner = JSONScanner(text)
        self.paths = paths
        self.depth = depth
        self.found = nothing
    }

    /// - Parameters:
    ///   - active: a bit for each path that leads here or on from here.
    ///   - level: how many steps led here.
    private mutating func value(_ active: UInt64, _ level: Int) throws(JSONSyntaxError) {
        let start = self.scanner.at
        switch self.scanner.peek {
        case UInt8(ascii: "{"): try self.object(active, level)
        case UInt8(ascii: "["): try self.array(active, level)
        default: _ = try self.scanner.scalar()
        }
        var rest = active
        while rest != 0 {
            let path = rest.trailingZeroBitCount
            rest &= rest - 1
            if self.paths[path].count == level { self.found[path] = start..<self.scanner.at }
        }
    }

    private mutating func object(_ active: UInt64, _ level: Int) throws(JSONSyntaxError) {
        try self.scanner.enter(level, depth: self.depth)
        self.scanner.skipSpace()
        guard !self.scanner.take(UInt8(ascii: "}")) else { return }
        while true {
            self.scanner.skipSpace()
            guard self.scanner.peek == UInt8(ascii: "\"") else { throw self.scanner.fail("a name in quotes") }
            let start = self.scanner.at
            try self.scanner.string()
            let inside = self.paths(active, level, member: start..<self.scanner.at)
            try self.scanner.colon()
            try self.value(inside, level + 1)
            self.scanner.skipSpace()
            guard try self.scanner.continues(isObject: true) else { return }
        }
    }

    private mutating func array(_ active: UInt64, _ level: Int) throws(JSONSyntaxError) {
        try self.scanner.enter(level, depth: self.depth)
        self.scanner.skipSpace()
        guard !self.scanner.take(UInt8(ascii: "]")) else { return }
        var index = 0
        while true {
            self.scanner.skipSpace()
            let inside = self.paths(active, level) { $0 == .element(index) }
            try self.value(inside, level + 1)
            index += 1
            self.scanner.skipSpace()
            guard try self.scanner.continues(isObject: false) else { return }
        }
    }

    /// The paths that go on with this member. What an earlier member of its name held no longer counts.
    private mutating func paths(_ active: UInt64, _ level: Int, member range: Range<Int>) -> UInt64 {
        guard active != 0 else { return 0 }
        let text = self.scanner.text
        let inner = UnsafeRawBufferPointer(rebasing: text[range.lowerBound + 1..<range.upperBound - 1])
        let unescaped = inner.contains(UInt8(ascii: "\\")) ? self.scanner.unescaped(range) : nil
        let inside = self.paths(active, level) { step in
            guard case .member(let name) = step else { return false }
            return unescaped.map { $0.utf8.elementsEqual(name.utf8) } ?? inner.elementsEqual(name.utf8)
        }
        var rest = inside
        while rest != 0 {
            self.found[rest.trailingZeroBitCount] = nil
            rest &= rest - 1
        }
        return inside
    }

    private func paths(_ active: UInt64, _ level: Int, _ isStep: (DataStep) -> Bool) -> UInt64 {
        var inside: UInt64 = 0
        var rest = active
        while rest != 0 {
            let path = rest.trailingZeroBitCount
            rest &= rest - 1
            let steps = self.paths[path]
            if level < steps.count, isStep(steps[level]) { inside |= 1 << UInt64(path) }
        }
        return inside
    }
}

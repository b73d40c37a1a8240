/// Runs a program over a text, all ways at once: each code point costs at most one look at each instruction.
struct PatternMatcher {
    /// The ways open at one place, each once: the usual pair of arrays in which membership costs nothing to clear.
    private struct Ways {
        let list: UnsafeMutablePointer<Int32>
        let places: UnsafeMutablePointer<Int32>
        var count = 0

        func has(_ instruction: Int) -> Bool {
            let place = Int(self.places[instruction])
            return place < self.count && self.list[place] == Int32(instruction)
        }

        mutating func add(_ instruction: Int) {
            self.places[instruction] = Int32(self.count)
            self.list[self.count] = Int32(instruction)
            self.count += 1
        }
    }

    private let program: PatternProgram
    private let stack: UnsafeMutablePointer<Int32>
    private var now: Ways
    private var next: Ways
    private var work = 0
    private var isFound = false

    static func run(
        _ program: PatternProgram, _ text: UnsafeRawBufferPointer, work: inout Int, workMax: Int
    ) -> Bool {
        let size = program.instructions.count
        // Two sets of two arrays, and the stack of ways to follow: each instruction pushes at most two.
        return withUnsafeTemporaryAllocation(of: Int32.self, capacity: size * 6 + 2) { memory in
            memory.initialize(repeating: 0)
            guard let base = memory.baseAddress else { return false }
            var matcher = PatternMatcher(program, base, size)
            let isFound = matcher.run(text, workMax: workMax - work)
            work += matcher.work
            return isFound
        }
    }

    private init(_ program: PatternProgram, _ memory: UnsafeMutablePointer<Int32>, _ size: Int) {
        self.program = program
        self.now = Ways(list: memory, places: memory + size)
        self.next = Ways(list: memory + size * 2, places: memory + size * 3)
        self.stack = memory + size * 4
    }

    private mutating func run(_ text: UnsafeRawBufferPointer, workMax: Int) -> Bool {
        let program = self.program
        var at = 0
        var code = Self.decode(text, &at)
        self.follow(0, nil, code)
        while !self.isFound {
            swap(&self.now, &self.next)
            guard let taken = code, self.now.count > 0 || !program.isAnchored else { return false }
            self.work += 1 + self.now.count
            guard self.work <= workMax else { return false }
            let after = Self.decode(text, &at)
            self.next.count = 0
            for place in 0..<self.now.count {
                let instruction = Int(self.now.list[place])
                if case .set(let set) = program.instructions[instruction], program.sets[set].contains(taken) {
                    self.follow(instruction + 1, taken, after)
                }
            }
            // It may be found from any place on.
            if !program.isAnchored { self.follow(0, taken, after) }
            code = after
        }
        return true
    }

    /// Adds an instruction and all that it leads to without taking a code point to the next ways.
    private mutating func follow(_ first: Int, _ before: UInt32?, _ after: UInt32?) {
        var open = 1
        self.stack[0] = Int32(first)
        while open > 0 {
            open -= 1
            let instruction = Int(self.stack[open])
            guard !self.next.has(instruction) else { continue }
            self.next.add(instruction)
            self.work += 1
            switch self.program.instructions[instruction] {
            case .set: break
            case .found: self.isFound = true
            case .jump(let target):
                self.stack[open] = Int32(target)
                open += 1
            case .split(let one, let other):
                self.stack[open] = Int32(other)
                self.stack[open + 1] = Int32(one)
                open += 2
            case .start: if before == nil { self.push(instruction + 1, &open) }
            case .end: if after == nil { self.push(instruction + 1, &open) }
            case .wordEdge(let isEdge):
                if (Self.isWord(before) != Self.isWord(after)) == isEdge { self.push(instruction + 1, &open) }
            }
        }
    }

    private func push(_ instruction: Int, _ open: inout Int) {
        self.stack[open] = Int32(instruction)
        open += 1
    }

    private static func isWord(_ code: UInt32?) -> Bool {
        guard let code else { return false }
        return PatternSet.word.contains { $0.contains(code) }
    }

    /// The code point at `at`, which moves past it. The text is UTF-8 already checked; a broken one reads as something, but
    /// never beyond its end.
    private static func decode(_ text: UnsafeRawBufferPointer, _ at: inout Int) -> UInt32? {
        guard at < text.count else { return nil }
        let first = UInt32(text[at])
        at += 1
        guard first >= 0xC0 else { return first }
        let rest = first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3
        var code = first & (0x3F >> UInt32(rest))
        for _ in 0..<rest where at < text.count {
            code = code << 6 | UInt32(text[at]) & 0x3F
            at += 1
        }
        return code
    }
}

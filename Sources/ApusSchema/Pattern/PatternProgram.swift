internal import ApusCore

/// A pattern as instructions of a machine that follows all its ways at once (Thompson's construction).
struct PatternProgram: Sendable {
    enum Instruction: Sendable {
        /// Takes one code point of a set and goes on.
        case set(Int)
        case split(Int, Int)
        case jump(Int)
        case start
        case end
        case wordEdge(Bool)
        case found
    }

    private(set) var instructions: [Instruction] = []
    private(set) var sets: [PatternSet] = []
    /// Whether every way begins with `^`: then only the text's beginning is tried.
    let isAnchored: Bool
    private var effort = 0

    init(_ node: PatternNode) throws(PatternError) {
        self.isAnchored = Self.beginsAtStart(node)
        try self.emit(node)
        try self.add(.found)
    }

    private static func beginsAtStart(_ node: PatternNode) -> Bool {
        switch node {
        case .start: true
        case .sequence(let parts): parts.first.map { Self.beginsAtStart($0) } ?? false
        case .choice(let parts): parts.allSatisfy { Self.beginsAtStart($0) }
        case .repeated(let part, let least, _): least > 0 && Self.beginsAtStart(part)
        default: false
        }
    }

    private mutating func add(_ instruction: Instruction) throws(PatternError) {
        guard self.instructions.count < Limits.Schema.patternInstructions else { throw Self.tooLarge }
        self.instructions.append(instruction)
    }

    private static var tooLarge: PatternError {
        PatternError(
            "repeats too much: it would take more than \(Limits.Schema.patternInstructions) instructions; "
                + "use `maxLength` for large counts")
    }

    private mutating func emit(_ node: PatternNode) throws(PatternError) {
        // Nothing repeated a thousand times a thousand times makes no instructions, but takes as long.
        self.effort += 1
        guard self.effort <= Limits.Schema.patternInstructions * 2 else { throw Self.tooLarge }
        switch node {
        case .set(let set):
            self.sets.append(set)
            try self.add(.set(self.sets.count - 1))
        case .sequence(let parts): for part in parts { try self.emit(part) }
        case .choice(let parts): try self.emitChoice(parts)
        case .repeated(let part, let least, let most): try self.emitRepeated(part, least, most)
        case .start: try self.add(.start)
        case .end: try self.add(.end)
        case .wordEdge(let isEdge): try self.add(.wordEdge(isEdge))
        }
    }

    private mutating func emitChoice(_ parts: [PatternNode]) throws(PatternError) {
        var exits: [Int] = []
        for (index, part) in parts.enumerated() {
            guard index < parts.count - 1 else {
                try self.emit(part)
                break
            }
            let fork = self.instructions.count
            try self.add(.jump(0))
            try self.emit(part)
            exits.append(self.instructions.count)
            try self.add(.jump(0))
            self.instructions[fork] = .split(fork + 1, self.instructions.count)
        }
        for exit in exits { self.instructions[exit] = .jump(self.instructions.count) }
    }

    private mutating func emitRepeated(_ part: PatternNode, _ least: Int, _ most: Int?) throws(PatternError) {
        for _ in 0..<least { try self.emit(part) }
        guard let most else {
            let fork = self.instructions.count
            try self.add(.jump(0))
            try self.emit(part)
            try self.add(.jump(fork))
            self.instructions[fork] = .split(fork + 1, self.instructions.count)
            return
        }
        var forks: [Int] = []
        for _ in least..<most {
            forks.append(self.instructions.count)
            try self.add(.jump(0))
            try self.emit(part)
        }
        for fork in forks { self.instructions[fork] = .split(fork + 1, self.instructions.count) }
    }
}

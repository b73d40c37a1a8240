public import ApusCore

/// A recorded run decided again: by the pool that serves live, from the inputs that were written down, at the times that they came.
public struct PoolReplay: Sendable {
    /// One input, and what was decided of it.
    public struct Step: Sendable {
        public var input: PoolInput
        public var at: Timestamp
        public var actions: [PoolAction]
        public var transitions: [InstanceTransition]
    }

    /// How many steps there were, and how much they decided.
    public private(set) var inputs = 0
    public private(set) var decisions = 0
    public private(set) var transitions = 0
    public private(set) var first: Timestamp?
    public private(set) var last: Timestamp?
    /// The first place where it was decided otherwise, with both; nil where there is none.
    public private(set) var difference: String?
    /// The recording has no end: its server was killed, and the last lines may be missing.
    public private(set) var isCut = false

    /// - Parameter each: told of each step as it is decided now.
    /// - Throws: `invalid_argument` for what is no recording, with the line.
    public init(_ text: String, each: (Step) -> Void = { _ in }) throws(ApusError) {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        // What is behind the last newline was not written whole.
        _ = lines.popLast()
        guard let head = lines.first, var pool = PoolRecording.pool(head: head) else {
            throw ApusError(.invalidArgument, "line 1: a recording of version \(PoolRecording.version) is expected")
        }
        self.isCut = lines.last.map { $0 + "\n" != PoolRecording.end } ?? true
        var next = 1
        while next < lines.count {
            let number = next + 1
            if lines[next] + "\n" == PoolRecording.end { return }
            let (input, at) = try Self.read(lines[next], number)
            next += 1
            let begin = next
            while next < lines.count, lines[next].hasPrefix("> ") || lines[next].hasPrefix("= ") { next += 1 }
            pool.receive(input, now: at)
            let step = Step(input: input, at: at, actions: pool.takeActions(), transitions: pool.takeTransitions())
            self.note(step)
            // Of the last step of one that was cut short, some of what was decided may be missing.
            let isWhole = next < lines.count || !self.isCut
            self.compare(step, lines[begin..<next], number, isWhole: isWhole)
            if self.difference != nil { return }
            each(step)
        }
    }

    private static func read(_ line: Substring, _ number: Int) throws(ApusError) -> (PoolInput, Timestamp) {
        let parts = line.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, let at = Int64(parts[0]), let input = PoolInput(line: parts[1]) else {
            throw ApusError(.invalidArgument, "line \(number): '\(line.prefix(96))' is no input of a pool")
        }
        return (input, Timestamp(microseconds: at))
    }

    private mutating func note(_ step: Step) {
        self.inputs += 1
        self.decisions += step.actions.count
        self.transitions += step.transitions.count
        self.first = self.first ?? step.at
        self.last = step.at
    }

    private mutating func compare(_ step: Step, _ recorded: ArraySlice<Substring>, _ number: Int, isWhole: Bool) {
        let again = PoolRecording.block(step.input, at: step.at, step.actions, step.transitions)
            .split(separator: "\n").dropFirst()
        for (offset, pair) in zip(recorded, again).enumerated() where pair.0 != pair.1 {
            self.difference = "line \(number + 1 + offset): recorded '\(pair.0)', now '\(pair.1)'"
            return
        }
        guard recorded.count > again.count || (isWhole && recorded.count < again.count) else { return }
        let line = number + 1 + min(recorded.count, again.count)
        self.difference =
            recorded.count > again.count
            ? "line \(line): recorded '\(recorded.dropFirst(again.count).first ?? "")', now nothing"
            : "line \(line): recorded nothing, now '\(again.dropFirst(recorded.count).first ?? "")'"
    }
}

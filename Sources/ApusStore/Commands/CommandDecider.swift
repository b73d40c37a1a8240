public import ApusCore

/// Sees to it that each command of one partition of `apus.commands` is decided once. A machine without I/O, for one time of owning.
///
/// The caller reads the last hour of answers into it (``restore(_:)``), then the commands from ``position`` on (``next(_:at:now:)``),
/// performs what each step says, and reports. Only answers that are durable are remembered; whoever loses the partition throws
/// the machine away.
public struct CommandDecider: Sendable {
    public enum Step: Sendable, Equatable {
        /// Decide it against what is deployed now, then write records and answer in one transaction.
        case decide(Command)
        /// Nothing is decided: write only this, which is answered already, too late, or too much.
        case answer(CommandAnswer)
    }

    private enum State: Sendable, Equatable {
        /// The answers of the last hour are being read. To `idle`.
        case restoring
        /// To `deciding`.
        case idle
        /// One command is with the caller. To `idle`, when its answer is durable or it is to be tried again.
        case deciding(Offset)
    }

    private struct Known: Sendable {
        var answer: CommandAnswer
        var bytes: Int
    }

    private var state = State.restoring
    private var answers: [CommandID: Known] = [:]
    /// The oldest first.
    private var order = Deque<(id: CommandID, decided: Timestamp)>()
    private var bytes = 0
    /// Where reading commands goes on.
    public private(set) var position: Offset = 0

    public init() {}

    public var answerCount: Int { self.answers.count }

    /// An answer that a former owner wrote, in the order of the log.
    public mutating func restore(_ answer: CommandAnswer, now: Timestamp) {
        self.position = max(self.position, answer.offset + 1)
        guard Self.isKept(answer.outcome) else { return }
        self.remember(answer, now: now)
    }

    /// All answers were read.
    public mutating func restored() { self.state = .idle }

    /// The next command of the partition. One that was read before is passed over.
    /// - Returns: nil when nothing is to be done for it.
    public mutating func next(_ command: Command, at offset: Offset, now: Timestamp) -> Step? {
        guard case .idle = self.state, offset >= self.position else { return nil }
        self.state = .deciding(offset)
        self.forget(now: now)
        if var known = self.answers[command.id]?.answer {
            // Whoever asks again may have missed it; the position must move in any case.
            known.offset = offset
            return .answer(known)
        }
        guard command.deadline > now,
            command.deadline <= now + Limits.ControlCommands.deadline + Limits.ControlCommands.deadline
        else {
            return .answer(
                self.refusal(
                    command, offset, now, .expired, "the write waited past its deadline and was not applied; try again")
            )
        }
        guard self.answers.count < Limits.ControlCommands.answers, self.bytes < Limits.ControlCommands.answerBytes
        else {
            return .answer(
                self.refusal(
                    command, offset, now, .overloaded, "too many writes were made in the last hour: try again later")
            )
        }
        return .decide(command)
    }

    private func refusal(
        _ command: Command, _ offset: Offset, _ now: Timestamp, _ code: ErrorCode, _ message: String
    ) -> CommandAnswer {
        CommandAnswer(id: command.id, who: command.who, offset: offset, decided: now, outcome: .refused(code, message))
    }

    /// A record that is no command of this version: nobody waits for an answer that could be given.
    public mutating func pass(_ offset: Offset) {
        guard case .idle = self.state else { return }
        self.position = max(self.position, offset + 1)
    }

    /// The answer is durable, with everything that belongs to it.
    public mutating func written(_ answer: CommandAnswer, now: Timestamp) {
        guard case .deciding(let offset) = self.state else { return }
        self.state = .idle
        self.position = offset + 1
        if Self.isKept(answer.outcome), self.answers[answer.id] == nil { self.remember(answer, now: now) }
    }

    /// Nothing was written: the same command comes again.
    public mutating func failed() {
        if case .deciding = self.state { self.state = .idle }
    }

    /// `overloaded` says that nothing was decided: asked again it may be.
    private static func isKept(_ outcome: CommandAnswer.Outcome) -> Bool {
        if case .refused(.overloaded, _) = outcome { return false }
        return true
    }

    private mutating func remember(_ answer: CommandAnswer, now: Timestamp) {
        guard answer.decided + Limits.ControlCommands.kept > now, self.answers[answer.id] == nil else { return }
        let bytes = answer.encode().count
        self.answers[answer.id] = Known(answer: answer, bytes: bytes)
        self.order.append((answer.id, answer.decided))
        self.bytes += bytes
    }

    private mutating func forget(now: Timestamp) {
        while let oldest = self.order.first, oldest.decided + Limits.ControlCommands.kept <= now {
            _ = self.order.popFirst()
            if let known = self.answers.removeValue(forKey: oldest.id) { self.bytes -= known.bytes }
        }
    }
}

public import ApusCore

/// The commands of this node that wait for their answers. A machine without I/O.
///
/// A command is over once its answer was seen and this node's catalogue holds what it wrote, so that whoever is answered finds it
/// here; or once its deadline has passed, when only its id tells what became of it.
public struct CommandWaits: Sendable {
    public enum Result: Sendable, Equatable {
        /// The result, and the last record of `apus.control` that belongs to it.
        case done([UInt8], through: Offset)
        case refused(ErrorCode, String)
        /// Nobody answered in time: it may still be decided.
        case unanswered
    }

    public struct Ended: Sendable, Equatable {
        public var id: CommandID
        public var result: Result
    }

    private struct Waiting: Sendable {
        var deadline: Timestamp
        var answer: CommandAnswer?
        var seen = 0
        var last: Offset = -1
    }

    private var waiting: [CommandID: Waiting] = [:]
    /// The catalogue holds every record before this one.
    private var applied: Offset = 0

    public init() {}

    public var count: Int { self.waiting.count }
    public func contains(_ id: CommandID) -> Bool { self.waiting[id] != nil }

    /// - Throws: `overloaded` when ``Limits/ControlCommands/waiting`` wait already.
    public mutating func ask(_ id: CommandID, deadline: Timestamp) throws(ApusError) {
        guard self.waiting.count < Limits.ControlCommands.waiting else {
            throw ApusError(.overloaded, "\(self.waiting.count) writes wait for their answers already: try again later")
        }
        self.waiting[id] = Waiting(deadline: deadline)
    }

    /// It could not be sent: nobody waits any more.
    public mutating func forget(_ id: CommandID) { self.waiting[id] = nil }

    /// - Returns: what is over with it.
    public mutating func answered(_ answer: CommandAnswer) -> [Ended] {
        guard self.waiting[answer.id] != nil else { return [] }
        self.waiting[answer.id]?.answer = answer
        return self.settle(answer.id)
    }

    /// The catalogue has taken in a record that a command wrote.
    public mutating func saw(_ id: CommandID, at offset: Offset) {
        self.waiting[id]?.seen += 1
        self.waiting[id]?.last = offset
    }

    /// The catalogue holds every record before `next`.
    public mutating func applied(to next: Offset) -> [Ended] {
        self.applied = max(self.applied, next)
        return self.waiting.keys.flatMap { self.settle($0) }
    }

    private mutating func settle(_ id: CommandID) -> [Ended] {
        guard let waiting = self.waiting[id], let answer = waiting.answer else { return [] }
        switch answer.outcome {
        case .refused(let code, let message):
            self.waiting[id] = nil
            return [Ended(id: id, result: .refused(code, message))]
        case .done(let result):
            guard waiting.seen >= answer.records, self.applied > answer.through else { return [] }
            self.waiting[id] = nil
            return [Ended(id: id, result: .done(result, through: max(waiting.last, answer.through)))]
        }
    }

    public mutating func expire(now: Timestamp) -> [Ended] {
        let over = self.waiting.filter { $0.value.deadline <= now }.map(\.key)
        for id in over { self.waiting[id] = nil }
        return over.map { Ended(id: $0, result: .unanswered) }
    }

    /// Nobody waits any more.
    public mutating func stop() -> [CommandID] {
        defer { self.waiting = [:] }
        return Array(self.waiting.keys)
    }
}

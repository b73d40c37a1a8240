public import ApusCore

/// Decides writes to `apus.control` one at a time, each against the catalogue that all before it have made.
///
/// A machine without I/O. The caller submits commands, performs what ``next(now:resolve:)`` yields, reports ``committed()`` or
/// ``failed(_:)``, and asks again. What is under way blocks what waits, so that no decision is made against a state that will
/// not be.
public struct ControlQueue: Sendable {
    /// Names a command, for its answer; made by the caller.
    public typealias CommandID = UInt64

    public enum Action: Sendable, Equatable {
        /// Create or alter topics, write the records in one transaction, then report. Deletions of topics come after that.
        case write(CommandID, ControlDecision)
        /// Nothing is to be written: answer at once.
        case answer(CommandID, Answer)
    }

    public enum Answer: Sendable, Equatable {
        case done([ControlDecision.Outcome])
        case failed(code: ErrorCode, message: String)

        static func failure(_ error: ApusError) -> Answer { .failed(code: error.code, message: error.message) }
    }

    /// A write that took effect: what to answer, and what changed in the catalogue.
    public struct Commit: Sendable, Equatable {
        public var command: CommandID
        public var outcomes: [ControlDecision.Outcome]
        public var changes: [Catalogue.Change]
        /// To be deleted on the log now.
        public var topicsToDelete: [TopicName]
    }

    private struct Waiting: Sendable {
        var id: CommandID
        var command: ControlCommand
        var deadline: Timestamp
    }

    private enum State: Sendable {
        /// The next command may be decided.
        case idle
        /// One decision is being written; goes to idle when it is reported.
        case writing(CommandID, ControlDecision)
    }

    /// What is deployed, all committed writes applied.
    public private(set) var catalogue = Catalogue()
    private var waiting = Deque<Waiting>()
    private var state = State.idle

    private let revisionsPerFunction: Int

    /// - Parameter revisionsPerFunction: how many are kept of each, the newest included; at least that one.
    public init(revisionsPerFunction: Int = Limits.Control.revisionsPerFunction) {
        self.revisionsPerFunction = min(max(1, revisionsPerFunction), Limits.Control.revisionsPerFunctionMax)
    }

    /// Applies a record that was read from the log, at the start, before anything is decided.
    /// - Throws: `log_damaged`; the catalogue goes on without the record.
    public mutating func follow(_ record: ControlRecord) throws(ApusError) -> Catalogue.Change {
        try self.catalogue.apply(record)
    }

    public var waitingCount: Int { self.waiting.count }

    /// What a command comes to, decided against the catalogue as it is; nothing changes. For who writes records elsewhere and follows
    /// them here.
    /// - Parameter resolve: the offset that a position means on an existing partition.
    public func decide(
        _ command: ControlCommand, now: Timestamp,
        resolve: (TopicPartition, StartPosition) throws(ApusError) -> Offset
    ) throws(ApusError) -> ControlDecision {
        let result = withoutActuallyEscaping(resolve) { resolve -> Result<ControlDecision, ApusError> in
            let decider = ControlDecider(
                catalogue: self.catalogue, now: now, revisionsPerFunction: self.revisionsPerFunction, resolve: resolve)
            do throws(ApusError) { return .success(try decider.decide(command)) } catch { return .failure(error) }
        }
        return try result.get()
    }

    /// Adds a command.
    /// - Parameter deadline: past it the command is answered `expired` and never applied.
    /// - Throws: `overloaded` when ``Limits/Control/waitingWrites`` wait already.
    public mutating func submit(_ command: ControlCommand, id: CommandID, deadline: Timestamp) throws(ApusError) {
        guard self.waiting.count < Limits.Control.waitingWrites else {
            throw ApusError(
                .overloaded, "\(Limits.Control.waitingWrites) deploys and deletions wait already; try again later")
        }
        self.waiting.append(Waiting(id: id, command: command, deadline: deadline))
    }

    /// The next thing to do; nil while a write is under way or nothing waits.
    /// - Parameter resolve: the offset that a position means on an existing partition.
    public mutating func next(
        now: Timestamp, resolve: (TopicPartition, StartPosition) throws(ApusError) -> Offset
    ) -> Action? {
        guard case .idle = self.state, let next = self.waiting.popFirst() else { return nil }
        guard next.deadline > now else {
            return .answer(
                next.id,
                .failed(code: .expired, message: "the write waited past its deadline and was not applied; try again"))
        }
        let decision: ControlDecision
        do throws(ApusError) { decision = try self.decide(next.command, now: now, resolve: resolve) } catch {
            return .answer(next.id, .failure(error))
        }
        if case .deploy(_, _, isDryRun: true, _) = next.command { return .answer(next.id, .done(decision.outcomes)) }
        if decision.records.isEmpty { return .answer(next.id, .done(decision.outcomes)) }
        self.state = .writing(next.id, decision)
        return .write(next.id, decision)
    }

    /// The records are durable: they are deployed from now on.
    public mutating func committed() -> Commit? {
        guard case .writing(let id, let decision) = self.state else { return nil }
        self.state = .idle
        var commit = Commit(command: id, outcomes: decision.outcomes, changes: [], topicsToDelete: [])
        for record in decision.records {
            do throws(ApusError) {
                commit.changes.append(try self.catalogue.apply(record))
            } catch {
                // What was just written from a checked manifest reads back, or this code contradicts itself.
                preconditionFailure("a record of our own cannot be applied: \(error)")
            }
        }
        for case .delete(let topic) in decision.topicChanges { commit.topicsToDelete.append(topic) }
        return commit
    }

    /// The write did not happen: nothing changed.
    /// - Returns: the command to answer with the error.
    public mutating func failed(_ error: ApusError) -> (command: CommandID, answer: Answer)? {
        guard case .writing(let id, _) = self.state else { return nil }
        self.state = .idle
        return (id, .failure(error))
    }
}

internal import ApusCore
internal import ApusEngine

/// What waits for the log: outputs, then the ledger, in one transaction at a time. Decides when to write; the shard
/// writes.
struct CommitPipeline {
    /// A delivery whose outputs may not be written while the log is short of room.
    struct Held {
        var delivery: Delivery
        var outputs: [LogBatch.Append]
    }

    /// Whose an append is.
    private struct Origin {
        /// The trigger of accepted invocations that it belongs to; nil for all other outputs.
        var owner: TriggerID?
        /// What it is an output of; nil where nothing is settled with it.
        var delivery: Delivery?
    }

    private(set) var appends: [LogBatch.Append] = []
    /// Beside each append.
    private var origins: [Origin] = []
    /// How many invocations end with what waits, by their trigger.
    private var ended: [TriggerID: Int] = [:]
    private(set) var forgotten: [LogBatch.LedgerWrite] = []
    private var inFlightForgotten: [LogBatch.LedgerWrite] = []
    private(set) var held: [Held] = []
    /// Deliveries with outputs to topics that are not there: they wait for those, and nothing waits for them.
    private(set) var refused: [Held] = []
    /// Bytes of the outputs that go with this write or the next; what is held is not among them, or it would hold
    /// itself.
    private(set) var bytes = 0
    /// The engine has ledger changes to write since then.
    private var dirtySince: Timestamp?
    private var firstOutcomeAt: Timestamp?
    /// What the write under way holds.
    private(set) var inFlight: LogBatch?
    private var inFlightBytes = 0
    private var inFlightOrigins: [Origin] = []
    private var inFlightEnded: [TriggerID: Int] = [:]
    /// What is under way of these is not to be sent again.
    private var retired: Set<TriggerID> = []
    private(set) var inFlightSince: Timestamp?
    /// No write before this.
    private var notBefore: Timestamp?

    /// - Parameters:
    ///   - delivery: what they settle.
    ///   - owner: the trigger of accepted invocations whose states these are.
    ///   - endsInvocation: one of them is terminal.
    mutating func append(
        _ outputs: some Collection<LogBatch.Append>, of delivery: Delivery? = nil, now: Timestamp, owner: TriggerID? = nil,
        endsInvocation: Bool = false
    ) {
        for output in outputs {
            self.appends.append(output)
            self.origins.append(Origin(owner: owner, delivery: delivery))
            self.bytes += output.block.count
        }
        if let owner, endsInvocation { self.ended[owner, default: 0] += 1 }
        if self.dirtySince == nil { self.dirtySince = now }
    }

    mutating func hold(_ delivery: Delivery, _ outputs: [LogBatch.Append]) {
        self.held.append(Held(delivery: delivery, outputs: outputs))
    }

    /// Takes back the states of a trigger that is going: what is not being written will not be, by this pipeline.
    /// The entries of its ledger stay as they are.
    mutating func retire(_ owner: TriggerID, ledgerPrefix: [UInt8]) {
        self.forgotten.removeAll { $0.key.starts(with: ledgerPrefix) }
        self.retire(owner)
    }

    private mutating func retire(_ owner: TriggerID) {
        self.held.removeAll { $0.delivery.trigger == owner }
        self.ended[owner] = nil
        if self.inFlight != nil { self.retired.insert(owner) }
        guard self.origins.contains(where: { $0.owner == owner }) else { return }
        self.keep { $0.owner != owner }
    }

    private mutating func keep(_ isKept: (Origin) -> Bool) {
        let kept = zip(self.appends, self.origins).filter { isKept($0.1) }
        self.bytes -= self.appends.reduce(0) { $0 + $1.block.count } - kept.reduce(0) { $0 + $1.0.block.count }
        self.appends = kept.map(\.0)
        self.origins = kept.map(\.1)
    }

    // MARK: topics that are not there

    /// Takes the deliveries out whose outputs no write will ever hold, so that the others are written. While none is under way.
    /// - Parameter isThere: whether a topic takes records.
    mutating func refuse(unless isThere: (TopicName) -> Bool) -> [Held] {
        var known: [TopicName: Bool] = [:]
        var refused: [Delivery: Int] = [:]
        var found: [Held] = []
        for (append, origin) in zip(self.appends, self.origins) {
            let answer = known[append.topic] ?? isThere(append.topic)
            known[append.topic] = answer
            guard !answer, let delivery = origin.delivery, refused[delivery] == nil else { continue }
            refused[delivery] = found.count
            found.append(Held(delivery: delivery, outputs: []))
        }
        guard !found.isEmpty else { return [] }
        for (append, origin) in zip(self.appends, self.origins) {
            if let delivery = origin.delivery, let index = refused[delivery] { found[index].outputs.append(append) }
        }
        self.keep { $0.delivery.map { refused[$0] == nil } ?? true }
        return found
    }

    /// Its deliveries are unknown from here on.
    mutating func drop(_ trigger: TriggerID) {
        self.held.removeAll { $0.delivery.trigger == trigger }
        self.refused.removeAll { $0.delivery.trigger == trigger }
    }

    mutating func holdRefused(_ held: Held) { self.refused.append(held) }

    /// Gives those back that are meant: their topics are there by now, or their trigger is gone.
    mutating func takeRefused(where isMeant: (Held) -> Bool) -> [Held] {
        let taken = self.refused.filter(isMeant)
        if !taken.isEmpty { self.refused.removeAll(where: isMeant) }
        return taken
    }

    /// There is room again: what was held is given back, to be appended.
    mutating func takeHeld() -> [Held] {
        defer { self.held = [] }
        return self.held
    }

    /// An entry of the ledger that is not the engine's: it goes with its trigger, or an invocation is marked by it.
    mutating func forget(_ write: LogBatch.LedgerWrite, now: Timestamp) {
        self.forgotten.append(write)
        self.ledgerIsDirty(now: now)
    }

    mutating func ledgerIsDirty(now: Timestamp) { if self.dirtySince == nil { self.dirtySince = now } }
    mutating func noteOutcome(now: Timestamp) { if self.firstOutcomeAt == nil { self.firstOutcomeAt = now } }

    mutating func retryLater(now: Timestamp) {
        self.notBefore = now + .milliseconds(Int64(Limits.Host.commitRetryMilliseconds))
        self.ledgerIsDirty(now: now)
    }

    /// As much waits and is under way as one write may hold: what comes now waits for its end. One write may have to hold both.
    var isFull: Bool {
        self.bytes >= Limits.Host.commitBytes
            || self.appends.count + (self.inFlight?.appends.count ?? 0) >= Limits.Host.commitRecords
    }

    var isWaiting: Bool { self.dirtySince != nil || self.inFlight != nil || !self.held.isEmpty }

    /// When a write is to be made that may not be made yet; nil when none is, or one is under way.
    var nextDue: Timestamp? {
        guard self.inFlight == nil, let dirtySince = self.dirtySince else { return nil }
        let due = self.appends.isEmpty ? dirtySince + Limits.Host.ledgerDelay : dirtySince
        return self.notBefore.map { max($0, due) } ?? due
    }

    /// Whether to write now. Outputs go at once; settling alone waits a moment for company, unless nothing else runs.
    func isDue(now: Timestamp, isIdle: Bool) -> Bool {
        guard self.inFlight == nil, self.dirtySince != nil else { return false }
        if let notBefore = self.notBefore, now < notBefore { return false }
        if isIdle || !self.forgotten.isEmpty { return true }
        return self.nextDue.map { $0 <= now } ?? false
    }

    /// Takes what waits as the write under way.
    /// - Parameter keys: what the log is to remember beside the entries.
    mutating func begin(
        _ entries: [LogBatch.LedgerWrite], keys: [LogBatch.KeyWrite] = [], owner: ShareTerm? = nil, now: Timestamp
    ) -> LogBatch? {
        self.dirtySince = nil
        self.notBefore = nil
        guard !(self.appends.isEmpty && entries.isEmpty && self.forgotten.isEmpty) else { return nil }
        let batch = LogBatch(
            urgency: .settlement, appends: self.appends, ledger: entries + self.forgotten, keys: keys, owner: owner)
        self.inFlight = batch
        self.inFlightBytes = self.bytes
        self.inFlightSince = self.firstOutcomeAt ?? now
        self.firstOutcomeAt = nil
        self.inFlightOrigins = self.origins
        self.inFlightEnded = self.ended
        // About as many come while this is written.
        let expected = self.appends.count
        self.appends = []
        self.appends.reserveCapacity(expected)
        self.origins = []
        self.origins.reserveCapacity(expected)
        self.ended = [:]
        self.inFlightForgotten = self.forgotten
        self.forgotten = []
        return batch
    }

    /// - Returns: how many invocations ended with it, by their trigger.
    @discardableResult
    mutating func succeeded() -> [TriggerID: Int] {
        let ended = self.inFlightEnded
        self.bytes -= self.inFlightBytes
        self.clear()
        return ended
    }

    /// The write did not happen: its outputs go first in the next one, its ledger entries are the engine's to give
    /// again.
    mutating func failed(now: Timestamp) {
        guard let batch = self.inFlight else { return }
        self.appends = batch.appends + self.appends
        self.origins = self.inFlightOrigins + self.origins
        self.ended.merge(self.inFlightEnded, uniquingKeysWith: +)
        self.forgotten = self.inFlightForgotten + self.forgotten
        let retired = self.retired
        self.clear()
        for owner in retired { self.retire(owner) }
        self.retryLater(now: now)
    }

    private mutating func clear() {
        self.inFlight = nil
        self.inFlightForgotten = []
        self.inFlightBytes = 0
        self.inFlightOrigins = []
        self.inFlightEnded = [:]
        self.retired = []
        self.inFlightSince = nil
    }
}

package import ApusCore

/// What a share has settled that its ledger on the log does not say yet, and whether outputs may be handed over before it does. Pure.
///
/// Outputs of at-least-once triggers are on the log before the entries that settle them. Those follow together a moment later, so that a node
/// that dies repeats that moment and no more. A node that was deposed and does not know it must not hand anything over: only a commit
/// that the brokers take shows that the share is its own still.
package struct PendingLedger<Key: Hashable, Entry> {
    /// The newest entry of each key.
    package private(set) var entries: [Key: Entry] = [:]
    /// What the write under way holds; nil without one.
    package private(set) var underWay: [Key: Entry]?
    /// Since when the oldest of `entries` waits.
    private var since: Timestamp?
    private var notBefore = Timestamp.zero
    /// When the last commit that succeeded was asked for.
    private var provenAt = Timestamp.zero
    private let delay: TimeSpan
    private let rest: TimeSpan
    private let proof: TimeSpan

    /// - Parameters:
    ///   - delay: how long an entry waits for others.
    ///   - rest: how long nothing is tried after a write that failed.
    ///   - proof: how long after a commit outputs may be handed over.
    package init(
        delay: TimeSpan = .milliseconds(Limits.Kafka.ledgerMilliseconds),
        rest: TimeSpan = .milliseconds(Limits.Kafka.ledgerRestMilliseconds), proof: TimeSpan
    ) {
        self.delay = delay
        self.rest = rest
        self.proof = proof
    }

    /// The share was taken over and its ledger read: what is known of before is nobody's.
    package mutating func begin(now: Timestamp) {
        self.entries = [:]
        self.underWay = nil
        self.since = nil
        self.notBefore = .zero
        self.provenAt = now
    }

    package mutating func add(_ entry: Entry, of key: Key, now: Timestamp) {
        self.entries[key] = entry
        if self.since == nil { self.since = now }
    }

    package var isEmpty: Bool { self.entries.isEmpty && self.underWay == nil }

    /// When what waits is to be written; nil while nothing waits, or a write is under way.
    package var due: Timestamp? {
        guard self.underWay == nil, let since = self.since else { return nil }
        return max(since + self.delay, self.notBefore)
    }

    package func isDue(now: Timestamp) -> Bool { self.due.map { $0 <= now } ?? false }

    /// Whether outputs may be handed over now; else a commit must come first, of nothing if need be.
    package func mayHandOver(now: Timestamp) -> Bool { now < self.provenAt + self.proof }

    /// Takes what waits into a write, which ``committed(askedAt:)`` or ``failed(now:)`` ends.
    package mutating func take() -> [Key: Entry] {
        let taken = self.entries
        self.underWay = taken
        self.entries = [:]
        self.since = nil
        return taken
    }

    /// - Parameter askedAt: a node that was stopped hears late of a commit; what counts is when it asked.
    package mutating func committed(askedAt: Timestamp) {
        self.underWay = nil
        self.provenAt = max(self.provenAt, askedAt)
        self.notBefore = .zero
    }

    /// Nothing of the write is on the log.
    package mutating func failed(now: Timestamp) {
        guard let taken = self.underWay else { return }
        self.underWay = nil
        self.entries = taken.merging(self.entries) { _, newer in newer }
        if !self.entries.isEmpty { self.since = now }
        self.notBefore = now + self.rest
    }
}

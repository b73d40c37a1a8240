internal import ApusCore
internal import ApusEngine

/// A pipeline for each group of lanes whose ledger is written together.
struct CommitPipelines {
    private var pipelines = [CommitPipeline()]
    /// Counts how often a group began anew: what a write of before brings is nobody's.
    private var epochs = [0]
    /// The log is short of room, or too many outputs wait for it: outputs are held.
    var isShort = false

    subscript(_ group: LedgerGroup) -> CommitPipeline {
        get { group.rawValue < self.pipelines.count ? self.pipelines[group.rawValue] : CommitPipeline() }
        _modify {
            while self.pipelines.count <= group.rawValue {
                self.pipelines.append(CommitPipeline())
                self.epochs.append(0)
            }
            yield &self.pipelines[group.rawValue]
        }
    }

    /// Asked for each event: the subscript would copy all that waits.
    func isFull(_ group: LedgerGroup) -> Bool {
        group.rawValue < self.pipelines.count && self.pipelines[group.rawValue].isFull
    }

    var groups: [LedgerGroup] { self.pipelines.indices.map { LedgerGroup(rawValue: $0) } }
    var isWaiting: Bool { self.pipelines.contains { $0.isWaiting } }
    var isWriting: Bool { self.pipelines.contains { $0.inFlight != nil } }
    var hasRefused: Bool { self.pipelines.contains { !$0.refused.isEmpty } }
    var bytes: Int { self.pipelines.reduce(0) { $0 + $1.bytes } }

    /// When a write is to be made that may not be made yet; nil when there is none.
    var nextDue: Timestamp? {
        var due: Timestamp?
        for pipeline in self.pipelines {
            if let next = pipeline.nextDue { due = min(due ?? next, next) }
        }
        return due
    }

    func epoch(of group: LedgerGroup) -> Int { group.rawValue < self.epochs.count ? self.epochs[group.rawValue] : 0 }

    /// What waits and what is under way is given up: another owns the group.
    mutating func reset(_ group: LedgerGroup) {
        self[group] = CommitPipeline()
        self.epochs[group.rawValue] += 1
    }
}

internal import ApusCore
internal import ApusStore

/// One step over `bundles/` or `layers/`: marks what is used, retires what has not been for longer than the grace, removes it.
struct FolderSweep: Sendable {
    private let folders: KeptFolders
    private let grace: TimeSpan
    private let isDryRun: Bool
    private let now: Timestamp
    /// Bytes by name, where they are known.
    var sizes: [String: Int64] = [:]
    /// Unused ones go before their time, the longest unused first, while all take more; nil has no bound.
    var quota: Int64?

    init(_ folders: KeptFolders, grace: TimeSpan, isDryRun: Bool, now: Timestamp) {
        self.folders = folders
        self.grace = grace
        self.isDryRun = isDryRun
        self.now = now
    }

    struct Retired: Sendable {
        /// What is to be removed now, by its new name, with its bytes.
        var names: [(name: String, bytes: Int64)] = []
        var step = SweepStep()
    }

    /// Between two control writes: what is used now is what `isUsed` says.
    func retire(_ isUsed: (String) -> Bool) throws(ApusError) -> Retired {
        var retired = Retired()
        var unused: [(name: String, since: Timestamp)] = []
        let names = try self.folders.names()
        for name in names {
            let since = try self.folders.lastUsed(name)
            if !isUsed(name) {
                unused.append((name, since))
            } else if !self.isDryRun, self.now - since > self.markAge {
                try self.folders.markUsed(name)
            }
        }
        var total = names.reduce(0) { $0 + (self.sizes[$1] ?? 0) }
        for (name, since) in unused.sorted(by: { $0.since < $1.since }) {
            let isOverQuota = self.quota.map { total > $0 } ?? false
            guard self.now - since > self.grace || isOverQuota else { continue }
            guard retired.step.removed < Limits.Server.sweepFolders else {
                retired.step.hasMore = true
                break
            }
            let bytes = self.sizes[name] ?? 0
            total -= bytes
            retired.step.removed += 1
            retired.step.removedBytes += bytes
            guard !self.isDryRun, let partial = try self.folders.retire(name) else { continue }
            retired.names.append((partial, bytes))
        }
        retired.step.kept = names.count - (self.isDryRun ? 0 : retired.step.removed)
        retired.step.keptBytes = total
        return retired
    }

    /// Removes what was retired; elsewhere than between control writes, since it takes its time.
    func remove(_ retired: Retired) throws(ApusError) -> SweepStep {
        for (name, _) in retired.names { try self.folders.remove(name) }
        return retired.step
    }

    /// Marks younger than this are not renewed: grace counts from the last use to within a quarter.
    private var markAge: TimeSpan { TimeSpan(microseconds: self.grace.microseconds / 4) }
}

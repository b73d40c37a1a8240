internal import ApusCore

/// Decides when changes are worth a deployment: editors write a file in several steps, and tools many files at once.
struct ChangeGatherer {
    /// How long nothing more may have happened.
    static let quiet = TimeSpan.milliseconds(25)
    /// How long a stream of changes is waited for at most.
    static let patience = TimeSpan.milliseconds(500)

    private var first: Timestamp?
    private var last: Timestamp?
    private var paths: Set<String> = []

    mutating func add(_ changed: Set<String>, now: Timestamp) {
        guard !changed.isEmpty else { return }
        self.first = self.first ?? now
        self.last = now
        self.paths.formUnion(changed)
    }

    /// When to ask again; nil while nothing has changed.
    var due: Timestamp? {
        guard let first = self.first, let last = self.last else { return nil }
        return min(first + Self.patience, last + Self.quiet)
    }

    /// What changed, once it is time; empty before.
    mutating func take(now: Timestamp) -> Set<String> {
        guard let due = self.due, due <= now else { return [] }
        defer { self = ChangeGatherer() }
        return self.paths
    }
}

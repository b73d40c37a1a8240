internal import ApusCore
internal import ApusTools

/// What is on its way to the audit: while one group is written, what comes gathers for the next. A machine; it lives behind a lock.
struct AuditQueue {
    enum Content {
        case entry(AuditEntry)
        /// All or none.
        case entries([AuditEntry])
        /// That checking starts at these places from now on.
        case anchors([AuditPlace])
    }

    struct Item {
        let content: Content
        let now: Timestamp
        let completion: @Sendable (Result<Void, ApusError>) -> Void

        var recordCount: Int { if case .entries(let entries) = self.content { entries.count } else { 1 } }
    }

    enum Action {
        /// Goes to the log now; ``written()`` follows.
        case write([Item])
        case wait
        case refuse
    }

    private enum State {
        case idle
        case writing
    }

    private var state = State.idle
    private var gathered: [Item] = []
    private let itemsMax: Int
    private let recordsMax: Int

    /// - Parameters:
    ///   - itemsMax: that may gather.
    ///   - recordsMax: of one group; an item with more goes alone.
    init(itemsMax: Int = Limits.Audit.gathered, recordsMax: Int = Limits.Audit.recordsPerGroup) {
        self.itemsMax = itemsMax
        self.recordsMax = recordsMax
    }

    var isIdle: Bool { self.state == .idle }

    mutating func add(_ item: Item) -> Action {
        switch self.state {
        case .idle:
            self.state = .writing
            return .write([item])
        case .writing:
            guard self.gathered.count < self.itemsMax else { return .refuse }
            self.gathered.append(item)
            return .wait
        }
    }

    /// The group that was given out is on the log, or will not be.
    /// - Returns: what to write next, in the order in which it came; empty when there is nothing.
    mutating func written() -> [Item] {
        var (count, records) = (0, 0)
        while count < self.gathered.count {
            records += self.gathered[count].recordCount
            guard count == 0 || records <= self.recordsMax else { break }
            count += 1
        }
        if count == 0 { self.state = .idle }
        var group: [Item] = []
        if count == self.gathered.count {
            swap(&group, &self.gathered)
        } else {
            group = Array(self.gathered[..<count])
            self.gathered.removeFirst(count)
        }
        return group
    }
}

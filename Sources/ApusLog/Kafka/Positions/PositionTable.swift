internal import ApusCore

/// Which positions of subscriptions groups are to show, and when: what changed, and now and then what did not, since offsets of groups that
/// commit nothing expire. Pure; it lives behind a lock.
struct PositionTable {
    struct Place: Hashable {
        var group: String
        var place: TopicPartition

        init(_ position: GroupPosition) {
            self.group = position.group
            self.place = position.place
        }
    }

    private struct Entry {
        var share: Share
        /// Nil once the subscription is gone.
        var wanted: Offset?
        /// What the group shows, as far as is known.
        var shown: Offset?
        var shownAt: Timestamp?
        /// What somebody else set, to be followed when the subscription begins anew.
        var moved: Offset?
    }

    private var entries: [Place: Entry] = [:]
    private var open: Set<Share> = []
    private let again: TimeSpan

    /// - Parameter again: after how long a position that did not move is written once more.
    init(again: TimeSpan = Limits.Kafka.positionsAgain) { self.again = again }

    mutating func opens(_ share: Share) { self.open.insert(share) }

    /// Another node shows what it does.
    mutating func closes(_ share: Share) {
        self.open.remove(share)
        self.entries = self.entries.filter { $0.value.share != share }
    }

    mutating func forget(_ position: GroupPosition) { self.entries[Place(position)] = nil }

    /// The ledger says so now.
    mutating func committed(_ position: GroupPosition, of share: Share) {
        guard self.open.contains(share) else { return }
        self.entries[Place(position), default: Entry(share: share)].wanted = position.offset
    }

    /// What the group was found to show, by this node's mark. When it was written is not known.
    mutating func found(_ position: GroupPosition, shows offset: Offset?) {
        self.entries[Place(position)]?.shown = offset
        self.entries[Place(position)]?.moved = nil
    }

    /// Somebody else has set it: it is left alone until it is followed.
    /// - Returns: whether that is news.
    mutating func found(_ position: GroupPosition, movedTo offset: Offset) -> Bool {
        guard let entry = self.entries[Place(position)], entry.moved != offset else { return false }
        self.entries[Place(position)]?.moved = offset
        return true
    }

    /// What is to be written now; those without an offset are to be taken away.
    func due(now: Timestamp) -> [GroupPosition] {
        self.entries.compactMap { place, entry in
            let isDue = entry.shownAt.map { now >= $0 + self.again } ?? true
            guard entry.wanted != entry.shown || isDue else { return nil }
            return GroupPosition(group: place.group, place: place.place, offset: entry.wanted)
        }.sorted { ($0.group, $0.place.topic.onLog, $0.place.partition) < ($1.group, $1.place.topic.onLog, $1.place.partition) }
    }

    mutating func wrote(_ positions: [GroupPosition], now: Timestamp) {
        for position in positions {
            let place = Place(position)
            if position.offset == nil, self.entries[place]?.wanted == nil {
                self.entries[place] = nil
            } else {
                self.entries[place]?.shown = position.offset
                self.entries[place]?.shownAt = now
                self.entries[place]?.moved = nil
            }
        }
    }

    var waiting: [GroupPosition] {
        self.entries.compactMap { place, entry in
            entry.moved.map { GroupPosition(group: place.group, place: place.place, offset: $0) }
        }
    }
}

package import ApusCore

/// Whether this node may decide for one partition of a group: a share of the work, or a partition of the commands.
///
/// The group says who should; the transactional id says who can. A node works only after it took the id over and read, behind that,
/// what the last owner left; whoever held the id before is refused from then on, whatever he believes.
package struct Ownership: Hashable {
    package enum State: Hashable {
        /// Another node's, or nobody's. To `initialising`.
        case notOwned
        /// Takes the id over. To `reading`, `waiting`, `notOwned`.
        case initialising
        /// Reads what the last owner left. To `working`, `waiting`, `notOwned`.
        case reading
        /// To `draining`, `waiting`, `notOwned`.
        case working
        /// Another node is to have it: what runs may end until then. To `notOwned`.
        case draining(until: Timestamp)
        /// Assigned, but its producer is of no use any more: begins again then. To `initialising`, `notOwned`.
        case waiting(until: Timestamp)
    }

    package enum Event: Hashable {
        case assigned
        /// The group wants it elsewhere and waits for this node to let go.
        case revoked
        /// The group gave it to another already.
        case lost
        case initialised(term: UInt64)
        case ledgerRead(term: UInt64)
        /// The id could not be taken over, what is left could not be read, a transaction's end is unknown, or another has the id.
        case failed(term: UInt64)
        /// Nothing of it runs here any more, and what ended is committed.
        case drained
        case tick
    }

    package enum Action: Hashable {
        case initialise(term: UInt64)
        case read(term: UInt64)
        case announceWorking(term: UInt64)
        case announceDraining(until: Timestamp)
        /// From here on nothing of it is committed.
        case announceStopped
        /// The producer is let go.
        case release
    }

    package private(set) var state = State.notOwned
    /// Counts the beginnings: what an earlier one brings is too late.
    package private(set) var term: UInt64 = 0

    package mutating func event(_ event: Event, now: Timestamp) -> [Action] {
        switch event {
        case .assigned: self.assigned()
        case .revoked: self.revoked(now)
        case .lost: self.end()
        case .initialised(let term): self.initialised(term)
        case .ledgerRead(let term): self.ledgerRead(term)
        case .failed(let term): self.failed(term, now)
        case .drained: if case .draining = self.state { self.end() } else { [] }
        case .tick: self.tick(now)
        }
    }

    package init() {}

    /// Whether the group has it here.
    package var isAssigned: Bool { self.state != .notOwned }

    /// When something is to be done that nobody else will say; nil while there is nothing.
    package var nextDue: Timestamp? {
        switch self.state {
        case .draining(let until), .waiting(let until): until
        case .notOwned, .initialising, .reading, .working: nil
        }
    }

    private mutating func begin() -> Action {
        self.term += 1
        self.state = .initialising
        return .initialise(term: self.term)
    }

    private mutating func assigned() -> [Action] {
        switch self.state {
        case .notOwned: [self.begin()]
        // Given back before it was let go.
        case .draining: self.end() + [self.begin()]
        case .initialising, .reading, .working, .waiting: []
        }
    }

    private mutating func revoked(_ now: Timestamp) -> [Action] {
        switch self.state {
        case .working:
            let until = now + .milliseconds(Limits.Kafka.drainMilliseconds)
            self.state = .draining(until: until)
            return [.announceDraining(until: until)]
        case .draining, .notOwned: return []
        case .initialising, .reading, .waiting: return self.end()
        }
    }

    private mutating func end() -> [Action] {
        defer { self.state = .notOwned }
        switch self.state {
        case .notOwned: return []
        case .working, .draining: return [.announceStopped, .release]
        case .initialising, .reading, .waiting: return [.release]
        }
    }

    private mutating func initialised(_ term: UInt64) -> [Action] {
        guard term == self.term, self.state == .initialising else { return [] }
        self.state = .reading
        return [.read(term: term)]
    }

    private mutating func ledgerRead(_ term: UInt64) -> [Action] {
        guard term == self.term, self.state == .reading else { return [] }
        self.state = .working
        return [.announceWorking(term: term)]
    }

    private mutating func failed(_ term: UInt64, _ now: Timestamp) -> [Action] {
        guard term == self.term else { return [] }
        let wasWorking = self.state == .working
        switch self.state {
        case .initialising, .reading, .working:
            self.state = .waiting(until: now + .milliseconds(Int64(Limits.Kafka.renewalMilliseconds)))
            return wasWorking ? [.announceStopped, .release] : [.release]
        case .draining: return self.end()
        case .notOwned, .waiting: return []
        }
    }

    private mutating func tick(_ now: Timestamp) -> [Action] {
        switch self.state {
        case .draining(let until) where until <= now: self.end()
        case .waiting(let until) where until <= now: [self.begin()]
        case .draining, .waiting, .notOwned, .initialising, .reading, .working: []
        }
    }
}

internal import ApusCore

/// The identities of one lane's events that the log does not show yet: of those that are unsettled, and of those that settled
/// while a read was under way, whose look at the log may have been before.
///
/// What is here is bounded by the deliveries that a partition may hold unsettled.
struct SeenEvents {
    private struct Event {
        var identity: EventIdentity
        var offset: Offset
        var appended: Timestamp
    }

    private var open: [EventIdentity: Event] = [:]
    /// By slot of the ledger.
    private var unsettled: [Int32: Event] = [:]
    private var settledMeanwhile: [EventIdentity: Event] = [:]
    /// Given up without an output: to be remembered with the next write, and until it is durable.
    private var dropped: [EventIdentity: Event] = [:]

    /// What waits for a write and holds no place in the ledger.
    var droppedCount: Int { self.dropped.count }

    /// Whether it repeats an event that is known here.
    func isRepetition(_ record: RecordSummary, within window: TimeSpan) -> Bool {
        guard let identity = record.identity,
            let known = self.open[identity] ?? self.settledMeanwhile[identity] ?? self.dropped[identity]
        else { return false }
        return known.offset < record.offset && record.appended <= known.appended + window
    }

    mutating func arrived(_ slot: Int32, _ record: RecordSummary) {
        guard let identity = record.identity else { return }
        let event = Event(identity: identity, offset: record.offset, appended: record.appended)
        self.open[identity] = event
        self.unsettled[slot] = event
    }

    /// A delivery left the ledger.
    /// - Parameter isRemembered: the log has its identity.
    mutating func left(_ slot: Int32, isRemembered: Bool, isReading: Bool) {
        guard let event = self.take(slot) else { return }
        if !isRemembered {
            self.dropped[event.identity] = event
        } else if isReading {
            self.settledMeanwhile[event.identity] = event
        }
    }

    /// It left without having run: a repetition may run.
    mutating func forget(_ slot: Int32) { _ = self.take(slot) }

    private mutating func take(_ slot: Int32) -> Event? {
        guard let event = self.unsettled.removeValue(forKey: slot) else { return nil }
        // One that came after the window may stand there by now.
        if self.open[event.identity]?.offset == event.offset { self.open[event.identity] = nil }
        return event
    }

    /// The answer of a read was taken in.
    mutating func readEnded() { if !self.settledMeanwhile.isEmpty { self.settledMeanwhile = [:] } }

    /// What goes with the next write for the deliveries that it settles.
    func remembered(_ slots: [Int32], window: TimeSpan) -> [RememberedEvent] {
        let events = slots.compactMap { self.unsettled[$0] } + self.dropped.values.sorted { $0.offset < $1.offset }
        return events.map {
            RememberedEvent(identity: $0.identity, offset: $0.offset, appended: $0.appended, window: window)
        }
    }

    /// The write is durable that held these.
    mutating func isDurable(_ remembered: [RememberedEvent], isReading: Bool) {
        for event in remembered {
            guard let known = self.dropped.removeValue(forKey: event.identity), isReading else { continue }
            self.settledMeanwhile[event.identity] = known
        }
    }
}

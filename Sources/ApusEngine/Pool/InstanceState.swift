internal import ApusCore

/// Where an instance is in its life. What each state holds, and where it can go:
///
/// | state | holds | next |
/// |---|---|---|
/// | absent | nothing here | starting |
/// | starting(fetching) | room on disk | starting(forking), stopped |
/// | starting(forking) | a slot | starting(loading), stopped |
/// | starting(loading) | a slot, host memory, its reservation on the device | starting(warming), stopped |
/// | starting(warming) | as ready | ready, stopped |
/// | ready | slot and device memory | busy, sleeping, draining, stopped |
/// | busy | slot and device memory, never evicted | busy, ready, draining, stopped |
/// | sleeping | a slot, host memory, what it may leave on the device | starting(waking), stopped; ready or busy, where it was used before it heard of it |
/// | starting(waking) | host memory, its reservation on the device | ready, stopped |
/// | draining | as busy | stopped |
/// | stopped | its reservation, until the device was seen to have the memory back | absent, quarantined |
/// | quarantined | its reservation | absent, by an operator |
public enum InstanceState: Sendable, Hashable {
    case absent
    case starting(StartPhase)
    case ready
    /// Invocations that run in it, at least one.
    case busy(Int)
    case sleeping
    case draining
    case stopped
    case quarantined
}

public enum StartPhase: UInt8, Sendable, Hashable, CaseIterable {
    case fetching, forking, loading, warming, waking
}

/// What happens to an instance.
public enum InstanceEvent: Sendable, Hashable {
    // What the pool decides.
    case start(from: Tier)
    case use(Int)
    case sleep
    /// It was told to sleep while so many invocations had been given to it: it does not.
    case stayed(Int)
    case wake
    case drain
    case stop
    // What the host reports.
    case fetched
    case forked
    case loaded
    case warmed
    case woken
    /// So many invocations ended.
    case released(Int)
    /// It crashed, was killed, or did not start in time.
    case failed
    /// Its process is gone, and the device has its memory back.
    case returned
    /// Its process is gone; its memory is not.
    case leaked
    case cleared
}

extension InstanceState {
    /// - Returns: nil for what cannot happen in this state: the caller ignores what comes too late, and traps what it ordered itself.
    func after(_ event: InstanceEvent) -> InstanceState? {
        switch (self, event) {
        case (.absent, .start(let tier)): tier == .remote ? .starting(.fetching) : .starting(.forking)
        case (.starting(.fetching), .fetched): .starting(.forking)
        case (.starting(.forking), .forked): .starting(.loading)
        case (.starting(.loading), .loaded): .starting(.warming)
        case (.starting(.warming), .warmed), (.starting(.waking), .woken): .ready
        case (.ready, .use(let count)) where count > 0: .busy(count)
        case (.busy(let running), .use(let count)) where count > 0: .busy(running + count)
        case (.busy(let running), .released(let count)) where count > 0 && count <= running:
            count == running ? .ready : .busy(running - count)
        case (.ready, .sleep): .sleeping
        case (.sleeping, .stayed(let running)): running > 0 ? .busy(running) : .ready
        case (.sleeping, .wake): .starting(.waking)
        case (.ready, .drain), (.busy, .drain): .draining
        case (.starting, .stop), (.ready, .stop), (.sleeping, .stop), (.draining, .stop): .stopped
        case (.starting, .failed), (.ready, .failed), (.busy, .failed), (.sleeping, .failed), (.draining, .failed):
            .stopped
        case (.draining, .released): .draining
        case (.stopped, .returned): .absent
        case (.stopped, .leaked): .quarantined
        case (.quarantined, .cleared): .absent
        default: nil
        }
    }

    /// Whether its weights take room on the device, or may at any moment.
    public var holdsDevice: Bool {
        switch self {
        case .starting(.loading), .starting(.warming), .starting(.waking), .ready, .busy, .draining, .stopped,
            .quarantined:
            true
        case .absent, .starting(.fetching), .starting(.forking), .sleeping: false
        }
    }

    /// Whether it counts as capacity: it serves, or will without another decision.
    public var isCapacity: Bool {
        switch self {
        case .starting, .ready, .busy: true
        case .absent, .sleeping, .draining, .stopped, .quarantined: false
        }
    }

    /// Whether its room may be taken for another.
    public var isEvictable: Bool { self == .ready || self == .sleeping }
}

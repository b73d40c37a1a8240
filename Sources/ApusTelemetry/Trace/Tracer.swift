internal import ApusCore
internal import Synchronization

/// Takes spans from any thread and holds them, within a bound, until they are exported. Never waits: what finds no room
/// is dropped and counted.
public final class Tracer: Sendable {
    /// What became of spans since the start.
    public struct Counters: Sendable, Equatable {
        public var taken: UInt64 = 0
        public var exported: UInt64 = 0
        /// No room was left, or the receiver refused them for good.
        public var dropped: UInt64 = 0
        public init() {}
    }

    private struct State {
        var waiting: [Span] = []
        var counters = Counters()
    }

    private let state = Mutex(State())
    /// A random number below it makes a new trace sampled; `.max` all of them.
    private let threshold: UInt64

    /// - Parameter sample: the part of traces that begin here and are recorded, 0 to 1.
    public init(sample: Double) {
        self.threshold = sample >= 1 ? .max : sample <= 0 ? 0 : UInt64(sample * 0x1p53) << 11
    }

    /// Whether a trace that begins here is recorded.
    public func startsTrace() -> Bool {
        guard self.threshold < .max else { return true }
        return UInt64.random(in: 0 ... .max) < self.threshold
    }

    public func record(_ span: Span) {
        self.state.withLock { state in
            state.counters.taken += 1
            guard state.waiting.count < Limits.Telemetry.waitingSpans else {
                state.counters.dropped += 1
                return
            }
            state.waiting.append(span)
        }
    }

    public var counters: Counters { self.state.withLock { $0.counters } }
    public var isEmpty: Bool { self.state.withLock { $0.waiting.isEmpty } }

    /// The oldest spans, at most `count`.
    public func take(_ count: Int) -> [Span] {
        self.state.withLock { state in
            let taken = Array(state.waiting.prefix(count))
            state.waiting.removeFirst(taken.count)
            return taken
        }
    }

    public func exported(_ count: Int) { self.state.withLock { $0.counters.exported += UInt64(count) } }
    public func dropped(_ count: Int) { self.state.withLock { $0.counters.dropped += UInt64(count) } }
}

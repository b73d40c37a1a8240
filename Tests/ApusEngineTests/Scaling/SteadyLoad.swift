import ApusCore

@testable import ApusEngine

/// One function under a load that does not change: so many callers in a second, each taking as long, starts taking as long.
struct SteadyLoad {
    private enum Step { case arrival, ready(WorkerID), done(StreamID), exit(WorkerID), tick }
    private struct Event: Comparable {
        var at: Timestamp
        var order: Int
        var step: Step
        static func < (left: Event, right: Event) -> Bool {
            left.at != right.at ? left.at < right.at : left.order < right.order
        }
        static func == (left: Event, right: Event) -> Bool { left.order == right.order }
    }

    var every: TimeSpan
    var service: TimeSpan
    var start: TimeSpan
    var idle: TimeSpan
    var concurrency = 1
    /// Moments at which workers were started, and at which they were told to stop.
    private(set) var starts: [Timestamp] = []
    private(set) var stops: [Timestamp] = []
    private(set) var answered = 0
    private(set) var failed = 0

    private var events = BinaryHeap<Event>()
    private var order = 0

    init(every: TimeSpan, service: TimeSpan, start: TimeSpan, idle: TimeSpan, concurrency: Int = 1) {
        (self.every, self.service, self.start, self.idle) = (every, service, start, idle)
        self.concurrency = concurrency
    }

    private mutating func add(_ at: Timestamp, _ step: Step) {
        self.order += 1
        self.events.insert(Event(at: at, order: self.order, step: step))
    }

    mutating func run(for span: TimeSpan, callers: TimeSpan? = nil) {
        let function = FunctionID(rawValue: 1)
        let scale = ScalePlan(min: 0, max: 32, idle: self.idle)
        var configuration = EngineConfiguration()
        configuration.startTimeout = .seconds(120)
        var engine = Engine(configuration: configuration, seed: 1)
        var now = Timestamp(microseconds: 1_000_000)
        let (end, lastCall) = (now + span, now + (callers ?? span))
        engine.apply(
            FunctionPlan(function: function, generation: 1, concurrency: self.concurrency, scale: scale), now: now)
        var request: UInt64 = 0
        self.add(now, .arrival)
        while let event = self.events.popFirst(), event.at <= end {
            now = event.at
            switch event.step {
            case .arrival:
                request += 1
                engine.invoke(RequestID(rawValue: request), function: function, bytes: 10, deadline: nil, now: now)
                if now + self.every <= lastCall { self.add(now + self.every, .arrival) }
            case .ready(let worker):
                engine.workerReady(worker, now: now)
                engine.credit(worker, self.concurrency, now: now)
            case .done(let stream):
                if case .answer = engine.outcome(stream, .succeeded, now: now) { self.answered += 1 }
            case .exit(let worker): engine.workerExited(worker, Failure(.cancelled, "left"), now: now)
            case .tick: break
            }
            if let due = engine.nextDue, due <= now { engine.advance(to: now) }
            self.perform(&engine, now)
            if let due = engine.nextDue { self.add(max(due, now), .tick) }
        }
    }

    private mutating func perform(_ engine: inout Engine, _ now: Timestamp) {
        var actions: [EngineAction] = []
        engine.takeActions(into: &actions)
        for action in actions {
            switch action {
            case .start(let worker, _, _):
                self.starts.append(now)
                self.add(now + self.start, .ready(worker))
            case .stop(let worker):
                self.stops.append(now)
                self.add(now + .milliseconds(1), .exit(worker))
            case .dispatch(let dispatch): self.add(now + self.service, .done(dispatch.stream))
            case .fail: self.failed += 1
            default: break
            }
        }
    }

    /// The shortest time between a start and a stop that follow each other, whichever came first.
    var shortestReversal: TimeSpan? {
        let all = (self.starts.map { ($0, true) } + self.stops.map { ($0, false) }).sorted { $0.0 < $1.0 }
        return zip(all, all.dropFirst()).filter { $0.1 != $1.1 }.map { $1.0 - $0.0 }
            .min { $0.microseconds < $1.microseconds }
    }
}

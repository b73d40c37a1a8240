public import ApusCore
public import ApusEngine

/// How long the steps of instances took in a recorded run: what a simulation of another run on the same machine is made with.
public struct FleetCalibration: Sendable {
    public enum Step: Sendable, Hashable, CaseIterable { case fork, load, wake, sleep, stop }

    private struct Place: Hashable {
        var function: FunctionID
        var step: Step
    }

    /// Fewer of a function's own, and what its bytes take of others' is reckoned with.
    public static let enough = 3
    private var spans: [Place: [Int64]] = [:]
    /// What was deployed last under each number.
    public private(set) var plans: [FunctionID: PoolFunction] = [:]
    public private(set) var replay: PoolReplay

    /// - Throws: `invalid_argument` for what is no recording.
    public init(_ text: String) throws(ApusError) {
        var watch = Watch()
        self.replay = try PoolReplay(text) { watch.note($0) }
        self.spans = watch.spans
        self.plans = watch.plans
    }

    public func count(_ step: Step) -> Int {
        self.spans.reduce(0) { $0 + ($1.key.step == step ? $1.value.count : 0) }
    }

    /// The middle of what was seen of a function; where that is little, what functions of its size take by what others were seen to.
    /// - Returns: nil where a step was never seen, or the function was never deployed.
    public func times(of function: FunctionID) -> StartTimes? {
        guard let fork = self.span(.fork, function), let load = self.span(.load, function),
            let wake = self.span(.wake, function), let sleep = self.span(.sleep, function),
            let stop = self.span(.stop, function)
        else { return nil }
        return StartTimes(fork: fork, load: load, wake: wake, sleep: sleep, stop: stop)
    }

    func span(_ step: Step, _ function: FunctionID) -> TimeSpan? {
        let own = self.spans[Place(function: function, step: step)] ?? []
        if own.count >= Self.enough { return TimeSpan(microseconds: Self.middle(own)) }
        guard let plan = self.plans[function] else { return nil }
        let seen = self.spans.filter { $0.key.step == step }
        switch step {
        // Nothing moves: all functions are alike.
        case .fork, .stop:
            let all = seen.flatMap(\.value)
            return all.isEmpty ? nil : TimeSpan(microseconds: Self.middle(all))
        case .load, .wake, .sleep:
            let points = seen.compactMap { place, spans in
                self.plans[place.function].map { SpanLine.Point(bytes: Self.bytes($0, step), span: Self.middle(spans)) }
            }
            return SpanLine(points).map { TimeSpan(microseconds: $0.span(of: Self.bytes(plan, step))) }
        }
    }

    /// What the step moves.
    private static func bytes(_ plan: PoolFunction, _ step: Step) -> Int64 {
        step == .load ? plan.deviceBytes : max(0, plan.deviceBytes - plan.residueBytes)
    }

    private static func middle(_ spans: [Int64]) -> Int64 {
        let sorted = spans.sorted()
        return (sorted[sorted.count / 2] + sorted[(sorted.count - 1) / 2]) / 2
    }

    /// From the pool's orders to what the host reported of them.
    private struct Watch {
        var spans: [Place: [Int64]] = [:]
        var plans: [FunctionID: PoolFunction] = [:]
        private var functions: [InstanceID: FunctionID] = [:]
        private var ordered: [InstanceID: (step: Step, at: Timestamp)] = [:]

        mutating func note(_ step: PoolReplay.Step) {
            switch step.input {
            case .message(.deploy(let plan)): self.plans[plan.function] = plan
            case .message(.report(let instance, let report)): self.reported(instance, report, step.at)
            default: break
            }
            for action in step.actions { self.order(action, step.at) }
        }

        private mutating func order(_ action: PoolAction, _ now: Timestamp) {
            switch action {
            case .fetch, .rest: break
            case .start(let instance, let function, _, _):
                self.functions[instance] = function
                self.ordered[instance] = (.fork, now)
            case .load(let instance): self.ordered[instance] = (.load, now)
            case .wake(let instance): self.ordered[instance] = (.wake, now)
            case .sleep(let instance): self.ordered[instance] = (.sleep, now)
            case .stop(let instance): self.ordered[instance] = (.stop, now)
            case .drain: break
            }
        }

        private mutating func reported(_ instance: InstanceID, _ report: Pool.Report, _ now: Timestamp) {
            let step: Step? =
                switch report {
                case .forked: .fork
                case .warmed: .load
                case .woken: .wake
                case .slept: .sleep
                case .returned: .stop
                case .fetched, .loaded, .failed, .leaked: nil
                }
            guard let step, let order = self.ordered[instance], order.step == step,
                let function = self.functions[instance]
            else { return }
            self.ordered[instance] = nil
            self.spans[Place(function: function, step: step), default: []].append((now - order.at).microseconds)
        }
    }
}

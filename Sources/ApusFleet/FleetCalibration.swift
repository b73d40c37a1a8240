public import ApusCore
public import ApusEngine

/// How long the steps of instances took in a recorded run: what a simulation of another run on the same machine is made with.
public struct FleetCalibration: Sendable {
    public enum Step: Sendable, Hashable, CaseIterable { case fork, load, wake, sleep, stop }

    private struct Place: Hashable {
        var function: FunctionID
        var step: Step
    }

    /// Fewer of a function's own, and those of all functions count.
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

    /// The middle of what was seen.
    /// - Returns: nil where a step was never seen.
    public func times(of function: FunctionID) -> StartTimes? {
        guard let fork = self.middle(.fork, function), let load = self.middle(.load, function),
            let wake = self.middle(.wake, function), let sleep = self.middle(.sleep, function),
            let stop = self.middle(.stop, function)
        else { return nil }
        return StartTimes(fork: fork, load: load, wake: wake, sleep: sleep, stop: stop)
    }

    private func middle(_ step: Step, _ function: FunctionID) -> TimeSpan? {
        var spans = self.spans[Place(function: function, step: step)] ?? []
        if spans.count < Self.enough { spans = self.spans.filter { $0.key.step == step }.flatMap(\.value) }
        guard !spans.isEmpty else { return nil }
        spans.sort()
        return TimeSpan(microseconds: (spans[spans.count / 2] + spans[(spans.count - 1) / 2]) / 2)
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

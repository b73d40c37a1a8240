internal import ApusCore
internal import ApusStore
internal import ApusTelemetry

/// How many tasks of agents there are in each of the states that agents are told.
struct TaskCounts {
    enum State: String, CaseIterable { case working, inputRequired = "input_required", completed, failed, cancelled }

    private(set) var counts: [State: Int] = [:]

    init(_ rows: [(state: InvocationState, code: String?, count: Int)]) {
        for row in rows { self.counts[Self.state(row.state, row.code), default: 0] += row.count }
    }

    /// An error of the tool itself is a result.
    private static func state(_ state: InvocationState, _ code: String?) -> State {
        switch state {
        case .queued, .running: .working
        case .waiting: .inputRequired
        case .succeeded: .completed
        case .failed: code.flatMap(ErrorCode.init(rawValue:))?.isOfTool == true ? .completed : .failed
        case .expired: .failed
        case .cancelled: .cancelled
        }
    }

    func add(to metrics: inout Metrics) {
        for state in State.allCases {
            metrics.set(metrics.series(ServerMetric.tasks, [state.rawValue]), Double(self.counts[state] ?? 0))
        }
    }
}

import ApusCore
import Testing

@testable import ApusEngine

/// Places for workers where functions contend for them.
@Suite struct SlotSharesTests {
    /// Functions with as much work as they can get, on a host with few places.
    private struct Bed {
        var engine: Engine
        var now = Timestamp(microseconds: 1_000_000)
        var workers: [WorkerID: FunctionID] = [:]
        var request: UInt64 = 0
        var done: [FunctionID: Int] = [:]
        var running: [(StreamID, FunctionID, WorkerID)] = []
        var killed = 0

        init(places: Int, weights: [Double], max: Int = 64) {
            var configuration = EngineConfiguration()
            configuration.workers = places
            self.engine = Engine(configuration: configuration, seed: 1)
            for (index, weight) in weights.enumerated() {
                self.engine.apply(
                    FunctionPlan(
                        function: FunctionID(rawValue: UInt32(index + 1)), generation: 1,
                        scale: ScalePlan(max: max, weight: weight)), now: self.now)
            }
        }

        mutating func call(_ function: UInt32, _ count: Int) {
            for _ in 0..<count {
                self.request += 1
                self.engine.invoke(
                    RequestID(rawValue: self.request), function: FunctionID(rawValue: function), bytes: 1,
                    deadline: nil,
                    now: self.now)
            }
            self.perform()
        }

        mutating func perform() {
            var actions: [EngineAction] = []
            self.engine.takeActions(into: &actions)
            while !actions.isEmpty {
                for action in actions {
                    switch action {
                    case .start(let worker, let function, _):
                        self.workers[worker] = function
                        self.engine.workerReady(worker, now: self.now)
                        self.engine.credit(worker, 1, now: self.now)
                    case .stop(let worker):
                        self.workers[worker] = nil
                        self.engine.workerExited(worker, Failure(.cancelled, "left"), now: self.now)
                    case .kill: self.killed += 1
                    case .dispatch(let dispatch):
                        guard let function = self.workers[dispatch.worker] else { continue }
                        self.running.append((dispatch.stream, function, dispatch.worker))
                    default: break
                    }
                }
                self.engine.takeActions(into: &actions)
            }
        }

        /// The one that has run longest is over, and its caller calls again.
        mutating func step() {
            guard !self.running.isEmpty else { return }
            self.now = self.now + .milliseconds(10)
            let (stream, function, _) = self.running.removeFirst()
            _ = self.engine.outcome(stream, .succeeded, now: self.now)
            self.done[function, default: 0] += 1
            self.perform()
            self.call(function.rawValue, 1)
        }
    }

    @Test func aFunctionThatComesLateGetsItsPartAndNobodyIsKilledForIt() {
        var bed = Bed(places: 8, weights: [1, 1])
        bed.call(1, 40)
        #expect(bed.workers.count == 8)
        bed.call(2, 40)
        for _ in 0..<100 { bed.step() }
        let counts = Dictionary(grouping: bed.workers.values) { $0 }.mapValues(\.count)
        #expect(counts[FunctionID(rawValue: 1)] == 4 && counts[FunctionID(rawValue: 2)] == 4, "\(counts)")
        #expect(bed.killed == 0, "no busy worker is evicted")
        #expect(bed.workers.count <= 8)
    }

    @Test func placesAreSharedByWeight() {
        var bed = Bed(places: 12, weights: [3, 1])
        bed.call(1, 60)
        bed.call(2, 60)
        for _ in 0..<400 { bed.step() }
        let counts = Dictionary(grouping: bed.workers.values) { $0 }.mapValues(\.count)
        #expect(counts[FunctionID(rawValue: 1)] == 9 && counts[FunctionID(rawValue: 2)] == 3, "\(counts)")
    }

    @Test func theLongestIdleWorkerMakesWay() {
        var bed = Bed(places: 2, weights: [1, 1, 1])
        for function in UInt32(1)...2 {
            bed.call(function, 1)
            let (stream, _, _) = bed.running.removeFirst()
            bed.now = bed.now + .seconds(1)
            _ = bed.engine.outcome(stream, .succeeded, now: bed.now)
            bed.perform()
        }
        bed.call(3, 1)
        #expect(Set(bed.workers.values.map(\.rawValue)) == [2, 3])
        #expect(bed.running.count == 1)
    }
}

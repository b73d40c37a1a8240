internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusLoop
internal import BenchFloors

/// From the engine's dispatch to the ledger settled in memory, through the loop to a worker and back, beside the same
/// messages over the same kind of pipes between two C processes.
///
/// With one in flight, the time between two dispatches is the whole way of one event: out, back, settled, and the next
/// one chosen.
enum DispatchBench {
    static let bytes = 1_024
    private static let inFlight = 32

    static func run(_ options: BenchOptions) throws -> BenchReport {
        let trips = try options.number("trips", default: 20_000)
        let count = try options.number("count", default: 200_000)
        let yields = options.others["yields"].flatMap { Int($0) } ?? 1
        var floor = pipe_floor()
        guard pipe_floor_open(&floor, self.bytes) == 0 else { throw BenchFailure("the floor's pipes cannot be made") }
        defer { pipe_floor_close(&floor) }
        let kinds = DispatchBenchWorkers.Kind.allCases.filter {
            options.others["only"].map([$0.rawValue].contains) ?? true
        }
        // The nursery wants a process without threads, so it comes before the loops.
        let workers = try DispatchBenchWorkers(
            directory: options.directory, shards: 2 * kinds.count, isSandboxed: options.others["sandbox"] != "none")
        defer { workers.close() }
        var lanes: [Lane] = []
        defer { for lane in lanes { lane.close() } }
        for kind in kinds { lanes.append(try Lane(kind, workers, yields: yields)) }
        var figures: [String: Figure] = [:]
        for lane in lanes {
            lane.single.run(trips / 10)
            lane.many.run(count / 10)
        }
        for _ in 0..<options.rounds {
            var floorTimes = [UInt64](repeating: 0, count: trips)
            guard pipe_floor_round_trips(&floor, &floorTimes, trips) == 0 else {
                throw BenchFailure("the floor's pipe broke")
            }
            let floorMicroseconds = floorTimes.map { Double($0) / 1_000 }
            let floorRate = pipe_floor_rate(&floor, self.inFlight, count)
            guard floorRate > 0 else { throw BenchFailure("the floor's pipe broke") }
            for lane in lanes {
                let times = lane.roundTrips(trips)
                let name = lane.kind.rawValue
                for (suffix, percent) in [("p50", 50.0), ("p99", 99.0)] {
                    figures["\(name).rtt_\(suffix)", default: Figure("\(name).rtt_\(suffix)", unit: "us")]
                        .add(percentile(percent, of: times), floor: percentile(percent, of: floorMicroseconds))
                }
                let cpu = lane.many.loopSeconds()
                figures["\(name).rate", default: Figure("\(name).rate", unit: "1/s")].add(
                    lane.rate(count), floor: floorRate)
                figures["\(name).loop_cpu", default: Figure("\(name).loop_cpu", unit: "us")]
                    .add((lane.many.loopSeconds() - cpu) * 1e6 / Double(count))
            }
        }
        let order = kinds.flatMap { kind in ["rtt_p50", "rtt_p99", "rate", "loop_cpu"].map { "\(kind.rawValue).\($0)" }
        }
        return BenchReport("dispatch", order.compactMap { figures[$0] })
    }

    /// One kind of worker, with a function that has one event in flight and one that has many.
    private final class Lane {
        let kind: DispatchBenchWorkers.Kind
        let single: Setup
        let many: Setup

        init(_ kind: DispatchBenchWorkers.Kind, _ workers: DispatchBenchWorkers, yields: Int) throws {
            self.kind = kind
            self.single = try Setup(workers, kind, concurrency: 1, yields: yields)
            self.many = try Setup(workers, kind, concurrency: DispatchBench.inFlight, yields: yields)
        }

        func roundTrips(_ count: Int) -> [Double] {
            let log = self.single.log
            log.stamps = []
            log.stamps.reserveCapacity(count)
            self.single.run(count)
            let stamps = log.stamps
            log.stamps = []
            return zip(stamps.dropFirst(), stamps).map { Double($0 - $1) / 1_000 }
        }

        func rate(_ count: Int) -> Double {
            let start = nanoseconds()
            self.many.run(count)
            return Double(count) * 1e9 / Double(nanoseconds() - start)
        }

        func close() {
            self.single.close()
            self.many.close()
        }
    }

    /// A shard with one function, and the log that feeds it.
    private final class Setup {
        let log: DispatchBenchLog
        private let shard: BenchShard

        init(
            _ workers: DispatchBenchWorkers, _ kind: DispatchBenchWorkers.Kind, concurrency: Int, yields: Int
        ) throws {
            let clock = SystemClock()
            self.log = DispatchBenchLog(clock: { clock.now }, bytes: DispatchBench.bytes, keys: 1_000)
            let handler = concurrency == 1 ? "main:echo" : "main:echo_many"
            let configuration =
                #"{"function":"echo","namespace":"default","revision":"0","handler":"\#(handler)","#
                + #""concurrency":\#(concurrency),"batch":null,"timeoutMicroseconds":30000000,"#
                + #""triggers":[{"name":"bench","topic":"bench","table":false}],"#
                + #""emits":[],"path":"\#(workers.functionPath)","layer":null,"weights":null}"#
            self.shard = try BenchShard(
                workers, log: self.log, ShardConfiguration(yields: yields),
                Self.function(workers.order(kind), configuration, concurrency: concurrency))
        }

        private static func function(_ order: LaunchOrder, _ configuration: String, concurrency: Int) -> HostFunction {
            guard let name = ResourceName(.default, "echo") else { preconditionFailure("echo is a name") }
            let trigger = TriggerID(rawValue: 1)
            return HostFunction(
                name: name, revision: "0", launch: order,
                initialization: Array(configuration.utf8),
                plan: FunctionPlan(
                    function: FunctionID(rawValue: 1), generation: 1, concurrency: concurrency,
                    scale: ScalePlan(min: 1, max: 1),
                    triggers: [TriggerPlan(trigger: trigger)]),
                triggers: [HostTrigger(id: trigger, name: "bench", generation: 1, topic: DispatchBenchLog.input)])
        }

        func run(_ count: Int) { self.log.run(count) }
        func loopSeconds() -> Double { self.shard.loopSeconds() }
        func close() { self.shard.close() }
    }
}

internal import ApusCore
internal import ApusEngine
internal import ApusFleet
internal import Glibc

/// The pool: what a decision costs, what a function costs that is not there, how fast the simulator is, what the policies come to, and
/// how far simulated starts are from those of real processes.
///
/// The last needs root, an installed tree, and `functions/generate` of the working directory; it ends in failure where they are further
/// apart than is promised.
enum PoolBench {
    private static let registered = 100_000
    /// What a function that is registered and not used may take.
    private static let idleBytesMax = 4_096.0

    static func run(_ options: BenchOptions) throws -> BenchReport {
        switch options.others["only"] {
        case "honesty": return BenchReport("pool", try PoolHonesty(options).run())
        case "decisions": return BenchReport("pool", try Self.decisions(options))
        case nil: return BenchReport("pool", try Self.decisions(options) + PoolHonesty(options).run())
        case let other?: throw BenchFailure("--only is honesty or decisions, not '\(other)'")
        }
    }

    private static func decisions(_ options: BenchOptions) throws -> [Figure] {
        var decision = Figure("decision_p50", unit: "us")
        var late = Figure("decision_p99", unit: "us")
        var memory = Figure("idle_function_bytes", unit: "bytes", bound: Self.idleBytesMax)
        var rate = Figure("simulate_rate", unit: "1/s")
        var fleetRate = Figure("fleet.simulate_rate", unit: "1/s")
        memory.add(Self.idleBytes())
        for _ in 0..<options.rounds {
            var decisions = PoolDecisions(functions: 10_000, devices: 1_000)
            let spans = decisions.run(100_000)
            decision.add(percentile(50, of: spans))
            late.add(percentile(99, of: spans))
            rate.add(try Self.rate(functions: 40, devices: 8, days: 60))
            fleetRate.add(try Self.rate(functions: 10_000, devices: 1_000, days: 1))
        }
        let seeds = try options.number("seeds", default: 6)
        return [decision, late, memory, rate, fleetRate] + (try Self.policy(seeds))
    }

    /// Engine and pool with so many functions registered, each used a few times long ago.
    private static func idleBytes() -> Double {
        let before = Self.resident()
        var engine = Engine(seed: 1)
        var pool = Pool(PoolConfiguration(hostMemory: 1 << 40))
        for index in 0..<Self.registered {
            let id = FunctionID(rawValue: UInt32(index))
            engine.apply(
                FunctionPlan(
                    function: id, generation: 1, concurrency: 1, scale: ScalePlan(min: 0, max: 8), triggers: []),
                now: .zero)
            pool.deploy(PoolDecisions.plan(id), now: .zero)
        }
        for use in 1...3 {
            let now = Timestamp(microseconds: Int64(use) * 600_000_000)
            for index in 0..<Self.registered {
                let id = FunctionID(rawValue: UInt32(index))
                // There is no device: the work waits and is given up, and its gaps are kept.
                pool.demand(id, running: 0, queued: 1, now: now)
                pool.demand(id, running: 0, queued: 0, now: now + .seconds(1))
            }
        }
        let bytes = Double(Self.resident() - before) / Double(Self.registered)
        withExtendedLifetime((engine, pool)) {}
        return bytes
    }

    private static func resident() -> Int {
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 128)
        guard fgets(&line, CInt(line.count), file) != nil else { return 0 }
        let words = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).split(
            separator: " ")
        return (words.count > 1 ? Int(words[1]) ?? 0 : 0) * sysconf(CInt(_SC_PAGESIZE))
    }

    private static func rate(functions: Int, devices: Int, days: Int64) throws -> Double {
        var trace = TraceGenerator()
        trace.functions = functions
        trace.length = .seconds(days * 86_400)
        trace.requestsPerSecond = Double(devices) * 0.03
        var fleet = FleetSimulation.Fleet()
        fleet.devices = devices
        fleet.hostMemory = Int64(devices) << 37
        var simulation = FleetSimulation(
            fleet, arrivals: trace.arrivals(), functions: functions, policy: .rentOrBuy(RentOrBuy()))
        let start = seconds()
        if let fault = simulation.run() { throw BenchFailure(fault) }
        return Double(simulation.report.events) / (seconds() - start)
    }

    /// RentOrBuy against FixedTTL 10 min on the published gaps: 40 models, 14 days, tuned on the first half, reported on the second.
    private static func policy(_ seeds: Int) throws -> [Figure] {
        var idle = Figure("policy.idle_share", unit: "of FixedTTL 10m")
        var wakes = Figure("policy.wake_share", unit: "of requests")
        var cold = Figure("policy.cold_share", unit: "of requests")
        var delay = Figure("policy.mean_delay", unit: "s")
        for seed in 1...UInt64(seeds) {
            var trace = TraceGenerator()
            trace.seed = seed
            let comparison = PolicyComparison(
                fleet: FleetSimulation.Fleet(), arrivals: trace.arrivals(), functions: trace.functions)
            let rows = try comparison.runAll([.rentOrBuy], waitingSecond: try comparison.tune())
            idle.add(rows[1].idleHours / rows[0].idleHours)
            wakes.add(rows[1].wakeShare)
            cold.add(rows[1].coldShare, floor: rows[0].coldShare)
            delay.add(rows[1].report.meanDelay, floor: rows[0].report.meanDelay)
        }
        return [idle, wakes, cold, delay]
    }
}

import ApusCore
import ApusEngine
import ApusFleet
import Testing

/// The pool under a virtual clock, with processes and devices that fail.
struct FleetTests {
    private static let seeds: ClosedRange<UInt64> = 1...1_000

    private static func policy(_ seed: UInt64) -> KeepAliveChoice {
        switch seed % 4 {
        case 0: .fixed(FixedTTL(device: .seconds(20), host: .seconds(600)))
        case 1: .rentOrBuy(RentOrBuy())
        case 2: .greedyDual(GreedyDual())
        default: .histogram(HistogramPolicy())
        }
    }

    /// No device over its capacity, every account adds up after every event, and every request is served, whatever fails.
    @Test func whateverFailsNothingIsLostAndEveryAccountAddsUp() {
        for seed in Self.seeds {
            var trace = TraceGenerator()
            trace.seed = seed
            trace.length = .seconds(3_600)
            trace.functions = 6
            trace.requestsPerSecond = 0.1
            var fleet = FleetSimulation.Fleet()
            fleet.devices = 1 + Int(seed % 3)
            fleet.deviceBytes = Int64(20 + seed % 60) << 30
            fleet.hostMemory = Int64(seed % 100) << 30
            fleet.concurrency = 1 + Int(seed % 3)
            fleet.faults = FleetFaults(seed: seed, until: Timestamp(milliseconds: 3_000_000))
            var simulation = FleetSimulation(
                fleet, arrivals: trace.arrivals(), functions: 6, policy: Self.policy(seed), isChecked: true)
            let fault = simulation.run()
            #expect(fault == nil, "seed \(seed): \(fault ?? "")")
        }
    }

    @Test func theSameSeedGivesTheSameRun() {
        var trace = TraceGenerator()
        trace.length = .seconds(86_400)
        let arrivals = trace.arrivals()
        #expect(arrivals == trace.arrivals() && arrivals.count > 500)
        var reports: [FleetReport] = []
        for _ in 0..<2 {
            var simulation = FleetSimulation(
                FleetSimulation.Fleet(), arrivals: arrivals, functions: 40, policy: .rentOrBuy(RentOrBuy()))
            #expect(simulation.run() == nil)
            reports.append(simulation.report)
        }
        #expect(reports[0].delays == reports[1].delays && reports[0].idle == reports[1].idle)
    }

    /// Tuned on the first half of two weeks, reported on the second.
    @Test func twoTiersSpareDevicesAndStartLessOftenFromNothing() {
        let trace = TraceGenerator()
        let arrivals = trace.arrivals()
        let half = Timestamp(microseconds: trace.length.microseconds / 2)
        func report(_ policy: KeepAliveChoice) -> FleetReport {
            var simulation = FleetSimulation(
                FleetSimulation.Fleet(), arrivals: arrivals, functions: trace.functions, policy: policy, countFrom: half)
            #expect(simulation.run() == nil)
            return simulation.report
        }
        let fixed = report(.fixed(FixedTTL(device: .seconds(600))))
        let ours = report(.rentOrBuy(RentOrBuy()))
        #expect(ours.requests == fixed.requests && ours.requests > 5_000)
        #expect(ours.idle * 2 <= fixed.idle, "\(ours.idle) us of device time idle against \(fixed.idle)")
        #expect(ours.cold <= fixed.cold)
        #expect(ours.meanDelay < fixed.meanDelay)
        #expect(ours.woken * 100 <= ours.requests * 40, "\(ours.woken) wakes of \(ours.requests)")
    }
}

import ApusCore
import ApusEngine
import ApusFleet
import Testing

/// What the pool promises whatever fails: processes that crash, hang while they load, do not wake, leak; slow disks; lost devices.
@Suite struct FleetInvariantTests {
    private static func policy(_ seed: UInt64) -> KeepAliveChoice {
        switch seed % 4 {
        case 0: .fixed(FixedTTL(device: .seconds(20), host: .seconds(600)))
        case 1: .rentOrBuy(RentOrBuy())
        case 2: .greedyDual(GreedyDual())
        default: .histogram(HistogramPolicy())
        }
    }

    /// - Returns: the first promise that was broken.
    /// - Parameter fetch: what the first start of each function waits for.
    private static func run(
        _ seed: UInt64, broken: FleetInvariant? = nil, fetch: TimeSpan? = nil, lost: (Int) -> Void = { _ in }
    ) -> String? {
        var trace = TraceGenerator()
        trace.seed = seed
        // Most runs last twenty minutes, one in ten an hour.
        let seconds: Int64 = broken == nil && seed % 10 != 0 ? 1_200 : 3_600
        trace.length = .seconds(seconds)
        trace.functions = 6
        trace.requestsPerSecond = 0.1
        var fleet = FleetSimulation.Fleet()
        fleet.devices = 1 + Int(seed % 3)
        fleet.deviceBytes = Int64(20 + seed % 60) << 30
        fleet.hostMemory = Int64(seed % 100) << 30
        fleet.concurrency = 1 + Int(seed % 3)
        fleet.broken = broken
        fleet.faults = FleetFaults(seed: seed, until: Timestamp(milliseconds: (seconds - 300) * 1_000))
        if let fetch {
            fleet.models = (0..<6).map { place in
                let plan = PoolFunction(
                    function: FunctionID(rawValue: UInt32(place)), deviceBytes: 16 << 30, hostBytes: 16 << 30,
                    concurrency: fleet.concurrency, wakePrior: fleet.wake, coldPrior: fleet.cold, fetch: fetch)
                return FleetModel(
                    plan: plan,
                    times: StartTimes(
                        load: fleet.cold, wake: fleet.wake, sleep: fleet.sleep, stop: fleet.stop, fetch: fetch))
            }
        }
        var simulation = FleetSimulation(
            fleet, arrivals: trace.arrivals(), functions: 6, policy: Self.policy(seed), isChecked: true)
        defer { lost(simulation.report.lostDevices) }
        return simulation.run()
    }

    @Test(arguments: SimulationSeeds.parts(10_000)) func whateverFailsNoPromiseIsBroken(_ seeds: Range<UInt64>) {
        var lost = 0
        for seed in seeds {
            let fault = Self.run(seed, lost: { lost += $0 })
            #expect(fault == nil, "seed \(seed): \(fault ?? "")")
        }
        #expect(lost > 0 || seeds.count < 100, "no device was ever lost")
    }

    /// Files that come from far, some ten times as slowly as others, and starts that crash while they come. A fetch that never ends is
    /// its host's to end: none hangs here.
    @Test func aSlowOrFailingFetchBreaksNoPromise() {
        for seed in 1...60 as ClosedRange<UInt64> {
            let fault = Self.run(seed, fetch: .seconds(Int64(seed % 7) * 40))
            #expect(fault == nil, "seed \(seed): \(fault ?? "")")
        }
    }

    /// A fleet that breaks a promise on purpose is caught, by the look at that promise.
    private func isCaught(_ broken: FleetInvariant) {
        for seed in 1...100 as ClosedRange<UInt64> {
            guard let fault = Self.run(seed, broken: broken) else { continue }
            #expect(fault.contains(broken.rawValue), "\(fault)")
            return
        }
        Issue.record("\(broken) is not noticed")
    }

    /// Devices with half the memory that their driver tells of.
    @Test func noDeviceOverCapacity() { self.isCaught(.noDeviceOverCapacity) }
    /// One that runs something is told to sleep.
    @Test func noBusyEviction() { self.isCaught(.noBusyEviction) }
    /// What a crashed process ran is forgotten.
    @Test func noLostRequest() { self.isCaught(.noLostRequest) }
    /// Memory that is not back is reported as returned.
    @Test func memoryReturns() { self.isCaught(.memoryReturns) }
    /// A process that was told to stop lives on.
    @Test func noOrphan() { self.isCaught(.noOrphan) }
    /// Sleepers that keep all that they held.
    @Test func ledgerEqualsObserved() { self.isCaught(.ledgerEqualsObserved) }
    /// An account that forgets a part.
    @Test func costPartsSum() { self.isCaught(.costPartsSum) }

    /// At constant load nobody takes an instance within a minute after giving one back; a stay shorter than the gaps does.
    @Test func noFlap() {
        var (ours, short) = (0, 0)
        for seed in 1...40 as ClosedRange<UInt64> {
            ours += Self.flaps(seed, .rentOrBuy(RentOrBuy()))
            short += Self.flaps(seed, .fixed(FixedTTL(device: .milliseconds(50))))
        }
        #expect(ours == 0 && short > 100, "\(ours) reversals, and \(short) of what is broken on purpose")
    }

    private static func flaps(_ seed: UInt64, _ policy: KeepAliveChoice) -> Int {
        var chance = SeededGenerator(seed: seed)
        let gap = Int64.random(in: 200_000...50_000_000, using: &chance)
        let service = Int64.random(in: 100_000...20_000_000, using: &chance)
        let arrivals = (0..<600).map { index in
            Arrival(
                at: Timestamp(microseconds: Int64(index) * gap), function: 0, service: TimeSpan(microseconds: service))
        }
        var fleet = FleetSimulation.Fleet()
        fleet.devices = 2
        fleet.concurrency = Int.random(in: 1...8, using: &chance)
        var simulation = FleetSimulation(fleet, arrivals: arrivals, functions: 1, policy: policy, isChecked: true)
        let fault = simulation.run()
        #expect(fault == nil, "seed \(seed): \(fault ?? "")")
        return simulation.flaps
    }
}

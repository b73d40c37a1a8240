import ApusEngine
import ApusTestSupport
import FoundationEssentials
import Testing

/// The engine under crashes, hangs, reordering, outages and restarts, by seed.
@Suite(.serialized) struct SimulationTests {
    /// `APUS_SEED` repeats one run, `APUS_SEEDS` says how many to try.
    private static func seeds(_ count: Int) -> Range<UInt64> {
        let environment = ProcessInfo.processInfo.environment
        if let seed = environment["APUS_SEED"].flatMap(UInt64.init) { return seed..<seed + 1 }
        return 1..<1 + UInt64(environment["APUS_SEEDS"].flatMap(Int.init) ?? count)
    }

    /// A repeated run says all that happens.
    private static var trace: ((String) -> Void)? {
        ProcessInfo.processInfo.environment["APUS_SEED"] == nil ? nil : { print($0) }
    }

    @Test func everySeedKeepsEveryPromise() throws {
        var total = SimulationReport()
        for seed in Self.seeds(400) {
            do {
                total += try Simulator.run(seed: seed, trace: Self.trace)
            } catch {
                Issue.record("\(error)")
                return
            }
        }
        print("simulated: \(total)")
        #expect(total.oneShots > 0, "functions that reuse no worker are among them")
    }
}

/// Deliberately broken ledgers: a simulator that passes them would prove nothing.
@Suite(.serialized) struct BrokenLedgerTests {
    private static let seedsMax: UInt64 = 60

    @Test(arguments: LedgerFault.allCases.filter { $0 != .none })
    func aBrokenLedgerIsCaught(_ fault: LedgerFault) {
        for seed in 1...Self.seedsMax {
            do {
                _ = try Simulator.run(seed: seed, fault: fault)
            } catch {
                print("\(fault): caught by seed \(seed): \(error.message)")
                return
            }
        }
        Issue.record("\(fault) passed \(Self.seedsMax) seeds")
    }
}

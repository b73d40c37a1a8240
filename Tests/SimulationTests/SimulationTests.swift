import ApusEngine
import ApusTestSupport
import Testing

/// The engine under crashes, hangs, reordering, outages and restarts, by seed.
@Suite struct SimulationTests {
    @Test(arguments: SimulationSeeds.parts(480)) func everySeedKeepsEveryPromise(_ seeds: Range<UInt64>) {
        var total = SimulationReport()
        for seed in seeds {
            do {
                total += try Simulator.run(seed: seed, trace: SimulationSeeds.trace)
            } catch {
                Issue.record("\(error)")
                return
            }
        }
        print("simulated: \(total)")
        guard SimulationSeeds.isWhole else { return }
        #expect(total.oneShots > 0, "functions that reuse no worker are among them")
        #expect(total.refusedOutputs > 0, "topics of outputs are gone for a while")
    }
}

/// Deliberately broken ledgers: a simulator that passes them would prove nothing.
@Suite struct BrokenLedgerTests {
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

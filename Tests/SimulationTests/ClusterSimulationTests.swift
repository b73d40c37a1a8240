import ApusTestSupport
import Testing

/// Several nodes on one Kafka, by seed: rebalances, lost shares, fenced producers, commits that fail or whose outcome nobody tells, brokers
/// and dead letters that are down, nodes that are killed, stopped and held, workers that crash and hang.
@Suite struct ClusterSimulationTests {
    /// Behaviours 24, 28.
    @Test(arguments: SimulationSeeds.parts(1_600)) func everySeedOfSeveralNodesKeepsEveryPromise(_ seeds: Range<UInt64>)
    {
        var total = ClusterReport()
        for seed in seeds {
            do {
                total += try ClusterSimulator.run(seed: seed, trace: SimulationSeeds.trace)
            } catch {
                Issue.record("\(error)")
                return
            }
        }
        print("simulated: \(total)")
        guard SimulationSeeds.isWhole else { return }
        #expect(total.takeOvers > 0 && total.drained > 0 && total.lost > 0, "shares move")
        #expect(total.fenced > 0, "producers are fenced")
        #expect(total.unknownOutcomes > 0 && total.failedCommits > 0, "commits fail")
        #expect(total.repeats > 0, "at-least-once outputs come again")
    }

    /// Deliberately broken nodes: a simulator that passes them would prove nothing.
    @Test(arguments: ClusterFault.allCases.filter { $0 != .none })
    func aBrokenNodeIsCaught(_ fault: ClusterFault) {
        for seed in 1...UInt64(200) {
            do {
                _ = try ClusterSimulator.run(seed: seed, fault: fault)
            } catch {
                print("\(fault): caught by seed \(seed): \(error.message)")
                return
            }
        }
        Issue.record("\(fault) passed 200 seeds")
    }
}

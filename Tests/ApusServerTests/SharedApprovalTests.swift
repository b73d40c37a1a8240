import ApusCore
import ApusLoop
import ApusManifest
import ApusStore
import ApusTestSupport
import Synchronization
import Testing

@testable import ApusServer

/// Approvals of several nodes on one log: what was accepted begins once, wherever the call comes.
@Suite struct SharedApprovalTests {
    private static func request(_ binding: String) throws -> ApprovalRequest {
        ApprovalRequest(
            principal: "ada", function: try #require(ResourceName(.default, "rows")), tool: "delete_rows",
            revision: "r1", version: 1, digest: "d", by: .approver, binding: binding, argumentsDigest: "a",
            arguments: "{}")
    }

    private static func accept(_ id: ApprovalID, on node: SharedNode, by principal: String = "bob") throws {
        let verdict = ApprovalVerdict(isAccepted: true, principal: principal)
        _ = try node.control.perform(.decideApproval(id, .default, verdict)).get()
    }

    /// The same call comes to all nodes at the same time.
    private static func claim(_ request: ApprovalRequest, on nodes: [SharedNode]) -> [ControlDecision.Outcome.Action] {
        let actions = Mutex<[ControlDecision.Outcome.Action]>([])
        let threads = nodes.map { _ in WorkThread() }
        for (index, node) in nodes.enumerated() {
            threads[index].run {
                guard let done = try? node.control.perform(.claimApproval(.random(), request)).get() else { return }
                actions.withLock { $0 += done.outcomes.map(\.action) }
            }
        }
        for thread in threads { thread.stop() }
        return actions.withLock { $0 }
    }

    @Test func ofNodesThatRaceOneBegins() throws {
        let cluster = try MemoryCluster.make()
        let nodes = try (0..<3).map { try SharedNode(cluster, node: $0) }
        defer { for node in nodes { node.stop() } }
        cluster.move(to: 0)
        for round in 0..<10 {
            let request = try Self.request("call \(round)")
            let asked = Self.claim(request, on: nodes)
            #expect(asked.count { $0 == .created } == 1 && asked.count { $0 == .unchanged } == 2, "\(asked)")
            let waiting = try #require(
                nodes[0].control.catalogue.openApproval(request.binding, now: nodes[0].control.clock.now))
            try Self.accept(waiting.id, on: nodes[round % 3])
            let begun = Self.claim(request, on: nodes)
            #expect(begun.count { $0 == .consumed } == 1, "\(begun)")
            #expect(begun.count { $0 == .created } == 1 && begun.count { $0 == .unchanged } == 1, "the others wait anew")
        }
    }

    @Test func whoeverTakesOverKnowsWhatWasUsedUp() throws {
        let cluster = try MemoryCluster.make()
        let nodes = try (0..<2).map { try SharedNode(cluster, node: $0) }
        defer { for node in nodes { node.stop() } }
        cluster.move(to: 0)
        let request = try Self.request("call")
        let made = try nodes[1].control.perform(.claimApproval(.random(), request)).get()
        let id = try #require(ApprovalID(made.outcomes[0].name))
        #expect(throws: ApusError.self, "whoever asked") { try Self.accept(id, on: nodes[1], by: "ada") }
        try Self.accept(id, on: nodes[1])
        // Written, and the owner is gone before it hears of it: the command comes again, and has its answer.
        cluster.fail(.losesTheOwner)
        let actions = Mutex<[ControlDecision.Outcome.Action]>([])
        let thread = WorkThread()
        thread.run {
            let answer = nodes[1].control.perform(.claimApproval(.random(), request))
            actions.withLock { $0 = (try? answer.get().outcomes.map(\.action)) ?? [] }
        }
        #expect(
            waitUntil(seconds: 20) {
                nodes[1].control.followed.load(ordering: .acquiring) > 0
                    && nodes[1].control.catalogue.openApproval(request.binding, now: nodes[1].control.clock.now) == nil
            })
        cluster.move(to: 1, isTold: false)
        thread.stop()
        #expect(actions.withLock { $0 } == [.consumed])
        #expect(try nodes[0].control.perform(.claimApproval(.random(), request)).get().outcomes.map(\.action) == [.created])
    }
}

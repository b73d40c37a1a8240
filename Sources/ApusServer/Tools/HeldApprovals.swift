internal import ApusHost
internal import Synchronization

/// Tells the shards, which are made before it, what became of approvals that invocations wait for. From any thread.
final class HeldApprovals: Sendable {
    private let approvals = Mutex<Approvals?>(nil)

    func bind(_ approvals: Approvals) { self.approvals.withLock { $0 = approvals } }

    func state(_ name: String) -> HeldApproval { self.approvals.withLock { $0 }?.held(name) ?? .waiting }

    func used(_ name: String) { self.approvals.withLock { $0 }?.use(name) }
}

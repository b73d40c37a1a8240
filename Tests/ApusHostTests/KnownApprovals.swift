import ApusCore
import ApusEngine
import ApusHost
import Synchronization

/// What a shard under test is told of approvals.
final class KnownApprovals: Sendable {
    private let states = Mutex<[String: HeldApproval]>([:])
    private let usedNames = Mutex<[String]>([])

    func decide(_ name: String, _ state: HeldApproval) { self.states.withLock { $0[name] = state } }
    func state(_ name: String) -> HeldApproval { self.states.withLock { $0[name] } ?? .waiting }
    func used(_ name: String) { self.usedNames.withLock { $0.append(name) } }
    var usedUp: [String] { self.usedNames.withLock { $0 } }

    func refusal(of answer: [UInt8]) -> Failure? {
        answer == Array(#"{"action":"accept"}"#.utf8) ? nil : Failure(.functionRejected, "declined")
    }
}

internal import ApusCore
internal import ApusJSON
internal import ApusManifest
internal import ApusStore
internal import ApusTools

/// What a model is told whose call did not begin, and what its client can read of it.
enum ApprovalText {
    static func refusal(_ refusal: ApprovalGate.Refusal, _ approval: Approval?) -> String {
        switch refusal {
        case .declined: "The person who was asked declined this call. Nothing was run."
        case .cancelled: "The person who was asked did not answer whether this call may run. Nothing was run."
        case .used: "This acceptance was used before. Nothing was run."
        case .refused: Self.refused(approval)
        case .waiting: Self.waiting(approval)
        case .failed(_, let message): "This call needs an approval, which cannot be had now: \(message). Nothing was run."
        }
    }

    /// What people read of a task that waits.
    static func held(_ name: String, _ approval: Approval?) -> String {
        let who = approval?.request.by == .approver ? "somebody else" : "somebody"
        return "waits for the approval \(name): \(who) with the role approver accepts it with `apus approvals accept \(name)`"
    }

    private static func waiting(_ approval: Approval?) -> String {
        guard let approval else { return "This call waits for an approval. Nothing was run." }
        let who =
            approval.request.by == .approver
            ? "somebody else, with the role approver, accepts it" : "somebody with the role approver accepts it"
        return "This call needs an approval. It waits as \(approval.id) until \(who), with "
            + "`apus approvals accept \(approval.id)` or in the console, at the latest at \(RFC3339.format(approval.expires)). "
            + "Make the same call again then. Nothing was run."
    }

    private static func refused(_ approval: Approval?) -> String {
        guard let approval, let decision = approval.decision else { return "This call was declined. Nothing was run." }
        let reason = decision.reason.map { ": \($0)" } ?? "."
        return "This call was declined by \(decision.principal)\(reason) The same call is refused until "
            + "\(RFC3339.format(approval.expires)). Nothing was run."
    }

    /// As the audit has it.
    static func code(_ refusal: ApprovalGate.Refusal) -> String {
        switch refusal {
        case .declined, .refused: "approval_declined"
        case .cancelled: "approval_cancelled"
        case .used: "approval_used"
        case .waiting: "approval_waiting"
        case .failed(let code, _): code.rawValue
        }
    }

    /// Members of `_meta`.
    static func meta(_ approval: Approval?) -> [UInt8] {
        guard let approval else { return [] }
        let state = if case .declined = approval.state { "declined" } else { "waiting" }
        let json: JSONValue = [
            "id": .string(approval.id.description), "state": .string(state),
            "expires": .string(RFC3339.format(approval.expires)),
        ]
        return Array(#""dev.apus/approval":"#.utf8) + json.encoded()
    }
}

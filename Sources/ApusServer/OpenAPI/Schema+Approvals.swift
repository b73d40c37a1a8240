internal import ApusJSON
internal import ApusManifest
internal import ApusStore

extension Schema {
    static let approval = object([
        "id": text("00c0ffee00c0ffee"), "namespace": label,
        "state": said(
            oneOf(Approval.StateName.allCases.map(\.rawValue)),
            "accepted: the same call may begin once; consumed: it did"),
        "tool": text("delete_rows"), "function": label, "version": count, "revision": text,
        "principal": said(text("ada"), "Whose call it is"),
        "by": said(
            oneOf(ToolManifest.Approval.Approver.allCases.map(\.rawValue)), "approver: the caller may not decide itself"),
        "arguments": said(anything, "What the tool would be called with; stars stand for what its schema says is a secret"),
        "created": time, "expires": time, "decidedBy": orNull(text), "decided": orNull(time), "reason": orNull(text),
    ])
}

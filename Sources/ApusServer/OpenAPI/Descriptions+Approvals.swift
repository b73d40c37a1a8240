internal import ApusCore
internal import ApusJSON
internal import ApusStore

extension OperationDescription {
    /// Calls of tools that wait for somebody.
    static let approvals: [String: OperationDescription] = [
        "listApprovals": OperationDescription(
            "Those that are over are listed for a day after their time.",
            parameters: [
                .query("state", Schema.oneOf(Approval.StateName.allCases.map(\.rawValue)), "Only those in this state."),
                .query(
                    "limit",
                    Schema.integer(1...Limits.Approvals.onOneLog, default: Limits.Server.approvalsStandard),
                    "How many at most."),
            ],
            answers: [
                Answer(
                    200, "The newest first.",
                    [
                        .json(
                            Schema.object([
                                "items": Schema.list(Schema.named("Approval")),
                                "more": Schema.said(Schema.count, "How many are left out"),
                            ]))
                    ])
            ], codes: [.invalidArgument]),
        "getApproval": OperationDescription(
            parameters: [approvalID], answers: [Answer(200, "The approval.", [.json(Schema.named("Approval"))])],
            codes: [.notFound]),
        "acceptApproval": OperationDescription(
            "Whoever made the call may not, where the tool says `by: approver`. The same call begins when it is made again, once.",
            parameters: [approvalID], body: [.json(verdict, example: ["reason": "as agreed"])],
            answers: [
                Answer(200, "It is accepted.", [.json(Schema.named("Approval"))], headers: positioned)
            ], codes: controlCodes + [.notFound, .conflict, .forbidden, .invalidJSON], isBodyOptional: true),
        "declineApproval": OperationDescription(
            "The same call is refused until the approval's time is over.",
            parameters: [approvalID], body: [.json(verdict, example: ["reason": "not today"])],
            answers: [
                Answer(200, "It is declined.", [.json(Schema.named("Approval"))], headers: positioned)
            ], codes: controlCodes + [.notFound, .conflict, .forbidden, .invalidJSON], isBodyOptional: true),
    ]

    private static let approvalID = Parameter.path("id", Schema.text("00c0ffee00c0ffee"), "As lists show it.")
    private static let verdict = Schema.closed(
        Schema.object([:], optional: ["reason": Schema.said(Schema.text, "Kept, and told to whoever calls again")]))
}

internal import ApusCore
internal import ApusJSON

extension OperationDescription {
    static let retention: [String: OperationDescription] = [
        "takeBackup": OperationDescription(
            """
            As `apus backup` writes it to a file; the format is in `docs/operating/backup.md`. A backup without its end block is not
            whole: its last block says why, or the connection broke.
            """,
            answers: [Answer(200, "The backup, block by block.", [Content("application/vnd.apus.backup")])],
            codes: [.conflict, .notYetSupported]),
        "sweep": OperationDescription(
            "The server does it by itself every ten minutes. Answers once it is over.",
            parameters: [.query("dryRun", Schema.oneOf(["true", "false"]), "Only tell what would go.")],
            answers: [Answer(200, "What went, or would go, of each kind.", [.json(Self.sweepReport)])]),
    ]

    private static let sweepReport = Schema.object([
        "dryRun": Schema.boolean,
        "items": Schema.list(
            Schema.object(
                [
                    "kind": Schema.oneOf(SweepKind.allCases.map(\.rawValue)), "removed": Schema.count,
                    "removedBytes": Schema.count, "kept": Schema.count, "keptBytes": Schema.count,
                ], optional: ["failure": Schema.text])),
    ])
}

/// Every command there is.
enum CommandTable {
    static let all: [Command] = [
        .serve, .backup, .restore, .sweep, .deploy, .delete, .get, .describe, .invoke, .publish, .consume, .dead, .logs,
        .schema, .doctor,
        .version, .help,
    ]

    /// Known names that a later version brings.
    static let notYetAvailable = [
        "agent", "approvals", "audit", "completion", "console", "cost", "dev", "devices", "init", "mcp",
        "pause", "replay",
        "resume", "rollback", "secret", "simulate", "token", "tools", "top", "warm",
    ]
}

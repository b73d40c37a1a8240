/// Every command there is.
enum CommandTable {
    static let all: [Command] = [
        .serve, .deploy, .delete, .get, .describe, .invoke, .publish, .consume, .dead, .logs, .token, .console,
        .schema, .doctor, .version, .help,
    ]

    /// Known names that a later version brings.
    static let notYetAvailable = [
        "agent", "approvals", "audit", "backup", "completion", "cost", "dev", "devices", "init", "mcp",
        "pause", "replay",
        "restore", "resume", "rollback", "secret", "simulate", "tools", "top", "warm",
    ]
}

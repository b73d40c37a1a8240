/// Every command there is.
enum CommandTable {
    static let all: [Command] = [
        .serve, .initialize, .deploy, .dev, .delete, .get, .describe, .invoke, .publish, .consume, .dead, .logs, .token,
        .console, .schema, .doctor, .completion, .complete, .version, .help,
    ]

    /// Known names that a later version brings.
    static let notYetAvailable = [
        "agent", "approvals", "audit", "backup", "cost", "devices", "mcp",
        "pause", "replay",
        "restore", "resume", "rollback", "secret", "simulate", "tools", "top", "warm",
    ]
}

/// Every command there is.
enum CommandTable {
    static let all: [Command] = [
        .serve, .deploy, .delete, .get, .describe, .invoke, .publish, .consume, .dead, .logs, .pause, .resume,
        .rollback, .warm, .schema, .doctor, .completion, .complete, .version, .help,
    ]

    /// Known names that a later version brings.
    static let notYetAvailable = [
        "agent", "approvals", "audit", "backup", "console", "cost", "dev", "devices", "init", "mcp", "replay",
        "restore", "secret", "simulate", "token", "tools", "top",
    ]
}

/// Every command there is.
enum CommandTable {
    static let all: [Command] = [
        .serve,
        .initialize,
        .deploy,
        .dev,
        .delete,
        .get,
        .describe,
        .invoke,
        .publish,
        .consume,
        .dead,
        .logs,
        .schema,
        .doctor,
        .completion,
        .complete,
        .pause,
        .resume,
        .rollback,
        .warm,
        .token,
        .console,
        .version,
        .help,
    ]

    /// Known names that a later version brings.
    static let notYetAvailable = [
        "agent",
        "approvals",
        "audit",
        "backup",
        "cost",
        "devices",
        "mcp",
        "replay",
        "restore",
        "secret",
        "simulate",
        "tools",
        "top",
    ]
}

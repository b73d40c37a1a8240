/// Every command there is.
enum CommandTable {
    static let all: [Command] = [
        .serve,
        .backup,
        .restore,
        .sweep,
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
        .replay,
        .logs,
        .top,
        .schema,
        .doctor,
        .completion,
        .complete,
        .pause,
        .resume,
        .rollback,
        .warm,
        .devices,
        .cost,
        .token,
        .secret,
        .console,
        .version,
        .help,
    ]

    /// Known names that a later version brings.
    static let notYetAvailable = [
        "agent",
        "approvals",
        "audit",
        "mcp",
        "simulate",
        "tools",
    ]
}

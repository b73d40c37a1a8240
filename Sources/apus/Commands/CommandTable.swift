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
        .simulate,
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
        .tools,
        .token,
        .agent,
        .audit,
        .secret,
        .console,
        .agentBridge,
        .version,
        .help,
    ]

    /// Known names that a later version brings.
    static let notYetAvailable = [
        "approvals",
    ]
}

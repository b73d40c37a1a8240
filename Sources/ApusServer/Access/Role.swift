/// What a principal may do in a namespace. A role holds in one namespace, or with `*` in all and for whole-server paths.
enum Role: String, Sendable, Hashable, CaseIterable {
    /// Everything, tokens included.
    case admin
    /// Deploys, deletes, redrives; sees what a reader sees.
    case deployer
    /// Publishes events.
    case producer
    /// Invokes functions and sees what became of invocations.
    case caller
    /// Decides approvals.
    case approver
    /// Sees what is deployed, topics, logs, dead letters, invocations.
    case reader
}

public import ApusCore
private import ApusManifest

extension Limits {
    /// Bounds of what is deployed and of the writes that change it.
    public enum Control {
        /// Writes that wait for their turn; above it callers get `overloaded`.
        public static let waitingWrites = 256
        /// Documents of one deploy.
        public static let documentsPerDeploy = 256
        /// Functions deployed at once on one log.
        public static let functions = 10_000
        /// Revisions kept of one function unless configured otherwise, the newest included: those that it can return to.
        public static let revisionsPerFunction = 10
        /// As many as can be configured.
        public static let revisionsPerFunctionMax = 1_000
        /// Topics at once on one log.
        public static let topics = 10_000
        /// Tool servers deployed at once on one log.
        public static let toolServers = 1_000
        /// Upstreams deployed at once on one log, tools of one, and all that is known of them.
        public static let upstreams = 200
        public static let upstreamTools = 512
        public static let upstreamToolsBytes = 768 * 1_024
        /// Tools of functions that are hidden, on one log.
        public static let disabledTools = 10_000
        /// Principals with a token, the revoked ones counted.
        public static let principals = 10_000
        /// Replays of one function that go on at once.
        public static let replaysPerFunction = 4
        /// Replays of one function that ended and can still be looked at.
        public static let endedReplaysPerFunction = 8
        /// The fastest bound of a replay that is one.
        public static let replayPerSecondMax = 1_000_000
        /// Dead letters that one request decides about: one transaction of the log.
        public static let fatesPerWrite = 100
        /// Roles of one principal.
        public static let rolesPerPrincipal = 256
        /// Tool servers, and scopes, of one agent.
        public static let rightsPerAgent = Limits.Manifest.agentRights
        /// One scope, as OAuth has it.
        public static let scopeBytes = 128
    }
}

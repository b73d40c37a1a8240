internal import ApusCore
internal import ApusLog
internal import ApusSandbox
internal import ApusServer
internal import ApusTelemetry

/// What the configuration file, the environment and the command line tell a server.
struct ServeOptions {
    /// How the server's own lines are written.
    struct Journal: Equatable {
        var format = LogFormat.text
        var level = LogLevel.info
        /// Nil: standard error.
        var file: String?
        var maxBytes = 64 << 20
        var keep = 5
    }

    /// Where the event log lies when not in the data directory.
    struct Kafka: Equatable {
        /// Nil: in the data directory.
        var bootstrap: String?
        var properties: [String: String] = [:]
        var cluster = "apus"
        var topicPrefix = ""
        var replication: Int?
        /// This server among those that share the work; nil lets the data directory have a name of its own.
        var node: String?
        var classes: [WorkClass] = [.cpu]
        /// Records from before there were seals are taken, and sealed.
        var adopts = false
        var sessionMilliseconds = Limits.Kafka.sessionMilliseconds
    }

    var server = ServerConfiguration(dataDirectory: "")
    var log = EmbeddedLogConfiguration()
    var kafka = Kafka()
    var journal = Journal()
    var certificateFile: String?
    var keyFile: String?
    var egressAuthoritiesFile: String?
    /// Of the keys that seal secrets.
    var masterKeyFile: String?
    /// Where systemd put the service's credentials.
    var credentials: String?
    var sandboxes = 256
    /// Sandboxes in a user namespace of whoever starts the server.
    var isRootless = false
    var portFile: String?
    /// What is worth a line at the start, and ends nothing.
    var warnings: [String] = []
    /// Take over from the server that runs.
    var isUpgrade = false
    /// Return once the server serves.
    var isInBackground = false

    init() {}

    /// - Throws: `configuration_invalid` with all that is wrong.
    init(_ arguments: ParsedArguments, _ environment: [String: String]) throws {
        try Configuration(arguments, environment).apply(to: &self)
        self.warnings = Configuration.strangers(in: environment)
        try self.checkTogether()
        try self.placeData(environment)
        self.server.buildEnvironment = Self.buildEnvironment(environment)
        self.server.version = Version.text
        self.credentials = environment["CREDENTIALS_DIRECTORY"]
        self.portFile = arguments["--port-file"].map(ConfigurationPath.fromHere)
        self.isUpgrade = arguments.has("--upgrade")
        self.isInBackground = arguments.has("--background")
        if self.isInBackground, !self.isUpgrade {
            throw UsageError("--background goes with --upgrade only; a supervisor starts the first server")
        }
    }

    /// Root's data directory is not an ordinary user's.
    mutating func placeData(_ environment: [String: String]) throws(ApusError) {
        guard self.isRootless, self.server.dataDirectory == RootlessFolder.root else { return }
        self.server.dataDirectory = try RootlessFolder.standard(environment)
    }

    /// What several fields say together.
    private func checkTogether() throws(ApusError) {
        if (self.certificateFile == nil) != (self.keyFile == nil) {
            let missing = self.keyFile == nil ? "tls.key" : "tls.cert"
            throw ApusError(.configurationInvalid, "`\(missing)` is missing: TLS needs a certificate and its key")
        }
        if self.certificateFile != nil, self.server.isBehindProxy {
            throw ApusError(
                .configurationInvalid,
                "`behindProxy` says that a proxy ends TLS, and `tls` that this server does: keep one of them")
        }
    }

    /// What pip is told about its index: its own variables and those of proxies.
    private static func buildEnvironment(_ environment: [String: String]) -> [String] {
        environment.filter { name, _ in
            name.hasPrefix("PIP_") || ["http_proxy", "https_proxy", "no_proxy"].contains(name.lowercased())
        }.map { "\($0.key)=\($0.value)" }.sorted()
    }
}

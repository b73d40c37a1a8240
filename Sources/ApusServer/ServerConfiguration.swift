public import ApusCore
public import ApusEgress
public import ApusHTTP

/// What a server is told: every field has a default that suits one machine.
public struct ServerConfiguration: Sendable {
    /// Holds the log, the projection, bundles and layers; made when missing, mode 0700.
    public var dataDirectory: String
    public var address = "127.0.0.1"
    /// 0 takes a free one.
    public var port: UInt16 = 8787
    /// Loops, each with an engine of its own. One suits two cores; more pay from about four.
    public var shards = 1
    /// How long running work may go on after SIGTERM.
    public var drainSeconds: Int64 = 5
    /// Names under which clients may call beside loopback ones.
    public var allowedHosts: [String] = []
    /// A proxy in front ends TLS and is trusted to be the only way in: allows an address that is not loopback.
    public var isBehindProxy = false
    /// Asynchronous invocations of one function that may be open; above it callers get `queue_full`.
    public var invocationsPerFunction = Limits.Invocations.openPerFunction
    /// Ends TLS here; nil serves plain HTTP.
    public var certificate: HTTPCertificate?
    public var telemetry = TelemetryConfiguration()
    /// Of this build, as metrics and traces say it.
    public var version = "0"
    public var retention = RetentionConfiguration()
    /// What this server is called among those that share its log; in what is written of its devices.
    public var node = "local"
    /// Open connections of one shard; more wait in the kernel's queue.
    public var connections = Limits.HTTP.connections
    /// Whether `/` serves the console.
    public var isConsoleEnabled = true
    /// What a deployment may hand to pip: the environment's `PIP_…` and proxy variables.
    public var buildEnvironment: [String] = []
    public var egress = EgressSettings()
    /// Devices, the memory of what sleeps, and prices.
    public var pool = PoolSettings()
    /// Certificate authorities in PEM that servers may be certified by, beside the host's.
    public var egressAuthorities: [UInt8] = []

    /// Tokens that others issue.
    public var auth = AuthConfiguration()

    /// What the clients of a log on Kafka say of themselves; nil where there are none.
    public var kafkaFigures: (@Sendable () -> [KafkaFigures])?

    public init(dataDirectory: String) { self.dataDirectory = dataDirectory }

    /// - Throws: `invalid_argument` or `address_not_allowed`.
    public func check(isLoopback: Bool) throws(ApusError) {
        guard (1...Limits.shards).contains(self.shards) else {
            throw ApusError(.invalidArgument, "--shards \(self.shards): give 1 to \(Limits.shards)")
        }
        guard isLoopback || self.isBehindProxy || self.certificate != nil else {
            throw ApusError(
                .addressNotAllowed,
                "\(self.address) can be reached from other machines and nothing encrypts what they send: listen on 127.0.0.1, "
                    + "give --tls-cert and --tls-key, or put a TLS proxy in front and say --behind-proxy"
            )
        }
    }
}

extension Limits {
    /// Loops of one server.
    public static let shards = 64
}

public import ApusCore

/// Another MCP server whose tools are offered beside our own: `kind: Upstream`, checked, defaults filled in.
public struct UpstreamManifest: Sendable, Equatable {
    /// Where its calls go.
    public enum Source: Sendable, Equatable {
        /// A server that others run, over HTTP. A deploy makes a function of the upstream's name that speaks with it.
        case address(ServerAddress)
        /// A function of the namespace with the runtime mcp.
        case function(String)
    }

    /// A secret that requests get as a header on their way out.
    public struct Injection: Sendable, Equatable {
        public var secret: String
        /// In lower case.
        public var header: String
        public var prefix: String
    }

    public var name: ResourceName
    public var labels: [String: String]
    public var source: Source
    /// Its tools are called `PREFIX_NAME`.
    public var prefix: String
    /// The SHA-256 of each tool that may be offered, by the upstream's own names; nil takes what is seen first.
    public var pins: [String: String]?
    public var inject: [Injection]
    /// Each of these a caller of its tools must have.
    public var scopes: [String]
    public var timeout: TimeSpan
    /// How often its list is asked for.
    public var refresh: TimeSpan
    /// Where the fields stand in the file; no part of equality and of the JSON form.
    public var locations: SourceLocations

    public var namespace: Namespace { self.name.namespace }

    /// The function that its calls run.
    public var function: ResourceName {
        switch self.source {
        case .address: self.name
        case .function(let name): ResourceName(self.namespace, name) ?? self.name
        }
    }

    /// The function that speaks with a server that others run; nil where the manifest names one.
    public var ownFunction: FunctionManifest? {
        guard case .address(let address) = self.source else { return nil }
        var network = NetworkAccess(allow: [address.rule])
        network.inject = self.inject.map {
            HeaderInjection(
                target: address.target, header: $0.header, secret: $0.secret, prefix: $0.prefix, paths: [], methods: [])
        }
        return FunctionManifest(
            name: self.name, labels: self.labels, about: "Speaks with the MCP server \(address.url).", runtime: .mcp,
            handler: address.url, source: ".", build: nil, dependencies: nil, environment: [:], secrets: [],
            timeout: self.timeout, concurrency: Limits.Manifest.upstreamConcurrency, reuse: .function, batch: nil,
            resources: FunctionManifest.Resources(
                memoryBytes: 256 << 20, cpuMillis: 1_000, processes: 16, scratchBytes: 1 << 20),
            scale: FunctionManifest.Scale(min: 0, max: 4, idle: .seconds(60), hostIdle: .seconds(14_400)),
            profile: .python, isolation: .standard, network: network, calls: .sandbox, triggers: [], httpTriggers: [],
            scheduleTriggers: [], emits: nil, locations: self.locations)
    }
}

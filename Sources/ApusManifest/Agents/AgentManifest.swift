public import ApusCore

/// A principal that calls tools, and what it may do: checked, defaults filled in. Its key is no part of it.
public struct AgentManifest: Sendable, Equatable {
    public var name: ResourceName
    public var labels: [String: String]
    /// Names of tool servers; none means all of its namespace.
    public var servers: [String]
    /// Scopes of tools that it holds.
    public var scopes: [String]
    public var limits: CallBounds
    /// Where the fields stand in the file; no part of equality and of the JSON form.
    public var locations = SourceLocations()

    public init(
        name: ResourceName, labels: [String: String] = [:], servers: [String] = [], scopes: [String] = [],
        limits: CallBounds = CallBounds()
    ) {
        self.name = name
        self.labels = labels
        self.servers = servers
        self.scopes = scopes
        self.limits = limits
    }

    public var namespace: Namespace { self.name.namespace }
}

public import ApusCore
public import ApusJSON

/// One record of `apus.control`: what is deployed under one name, keyed by `kind/namespace/name`.
///
/// The generation of a name only grows, through deletions too: a deletion is a record that says so, never a tombstone, so that
/// what is made again under the name is known to be another one.
public struct ControlRecord: Sendable, Equatable {
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        case function = "Function"
        case topic = "Topic"
        /// What became of a dead letter; its name is the dead letter's id.
        case fate = "Fate"
        /// An earlier revision of a function; its name is `function/revision`. Let go by a tombstone.
        case revision = "Revision"
        /// Work that is not to be begun; its name is `function`, or `function/trigger`.
        case pause = "Pause"
        /// Whoever holds a token.
        case principal = "Principal"
        /// A value that only functions read, sealed.
        case secret = "Secret"
        /// A stretch of a topic that a trigger is given once more; its name is `function/id`. Let go by a tombstone.
        case replay = "Replay"
        /// A named set of tools at one URL.
        case toolServer = "ToolServer"
        /// A call that somebody is to decide about; its name is an id. Let go by a tombstone.
        case approval = "Approval"
        /// Another MCP server whose tools are offered here.
        case upstream = "Upstream"
        /// What an upstream lists, and what of it was accepted.
        case upstreamTools = "UpstreamTools"
        /// A tool of a function that is hidden from agents; its name is the tool's.
        case toolSwitch = "ToolSwitch"
    }

    public enum Content: Sendable, Equatable {
        case function(FunctionDeployment)
        case topic(manifest: JSONValue)
        case fate(DeadLetterFate)
        case revision(KeptRevision)
        case pause(principal: String)
        case principal(PrincipalDeployment)
        case secret(SealedSecret)
        case replay(ReplayDeployment)
        case toolServer(manifest: JSONValue)
        case approval(Approval)
        case upstream(manifest: JSONValue)
        case upstreamTools(JSONValue)
        case toolDisabled(principal: String)
        case deleted
    }

    /// What became of a dead letter.
    public enum DeadLetterFate: String, Sendable, Hashable { case redriven, dropped }

    public var kind: Kind
    public var namespace: Namespace
    /// A label, or a topic's name in its namespace, or what ``Kind`` says.
    public var name: String
    public var generation: UInt64
    public var time: Timestamp
    public var content: Content
    /// Of a function that is deleted: what its tool's changes needed. Whoever makes it again needs that too.
    public var trustLeft: ToolTrust?

    public init(
        kind: Kind, namespace: Namespace, name: String, generation: UInt64, time: Timestamp, content: Content,
        trustLeft: ToolTrust? = nil
    ) {
        self.trustLeft = trustLeft
        self.kind = kind
        self.namespace = namespace
        self.name = name
        self.generation = generation
        self.time = time
        self.content = content
    }

    public var key: String { "\(self.kind.rawValue)/\(self.namespace)/\(self.name)" }
    public var isDeleted: Bool { self.content == .deleted }
}

/// A function as it was deployed: its manifest and what the deploy resolved.
public struct FunctionDeployment: Sendable, Equatable {
    /// The manifest's canonical JSON.
    public var manifest: JSONValue
    /// The content hash of manifest, bundle and layer.
    public var revision: String
    public var bundle: String
    /// The key of the dependency layer; nil without dependencies.
    public var layer: String?
    /// The triggers on topics, tables included, in the manifest's order.
    public var triggers: [TriggerDeployment]
    /// The scheduled triggers, in the manifest's order.
    public var schedules: [ScheduleDeployment]
    /// The generation in which the function was made, since it was last deleted: names its queue of invocations. 0 for records
    /// from before there were queues.
    public var origin: UInt64
    /// Nil while it has the class that it was made with.
    public var move: ClassMove?
    /// Of a tool that was signed.
    public var trust: ToolTrust?

    public init(
        manifest: JSONValue, revision: String, bundle: String, layer: String?, triggers: [TriggerDeployment],
        schedules: [ScheduleDeployment] = [], origin: UInt64, move: ClassMove? = nil, trust: ToolTrust? = nil
    ) {
        self.trust = trust
        self.move = move
        self.manifest = manifest
        self.revision = revision
        self.bundle = bundle
        self.layer = layer
        self.triggers = triggers
        self.schedules = schedules
        self.origin = origin
    }
}

/// A trigger on a topic, with what makes its position: when it was made, and where it starts.
public struct TriggerDeployment: Sendable, Equatable {
    public var name: String
    public var topic: TopicName
    public var isTable: Bool
    /// The function's generation that made this trigger. Part of the ledger's key: one that is deleted and made again starts anew.
    public var generation: UInt64
    /// Where each partition starts. Partitions added later start at 0.
    public var starts: [Offset]

    public init(name: String, topic: TopicName, isTable: Bool, generation: UInt64, starts: [Offset]) {
        self.name = name
        self.topic = topic
        self.isTable = isTable
        self.generation = generation
        self.starts = starts
    }

    public func start(of partition: Int) -> Offset {
        self.starts.indices.contains(partition) ? self.starts[partition] : 0
    }
}

/// A scheduled trigger, with what makes it: when it was made, so that nothing earlier is due.
public struct ScheduleDeployment: Sendable, Equatable {
    public var name: String
    /// The function's generation that made this schedule: one of another line or zone is another one.
    public var generation: UInt64
    public var since: Timestamp

    public init(name: String, generation: UInt64, since: Timestamp) {
        self.name = name
        self.generation = generation
        self.since = since
    }
}

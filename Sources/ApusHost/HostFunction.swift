public import ApusCore
public import ApusEngine

/// One revision of a function as the host runs it: names, what to launch, what to tell the worker, where outputs go.
public struct HostFunction: Sendable {
    public var name: ResourceName
    /// The revision's content hash.
    public var revision: String
    public var launch: LaunchOrder
    /// The payload of INIT, as `docs/worker-protocol.md` describes it; its triggers are in the order of ``triggers``.
    public var initialization: [UInt8]
    public var plan: FunctionPlan
    /// One for each of the plan's triggers, in their order.
    public var triggers: [HostTrigger]
    /// What handlers may emit to, by the names they use.
    public var emits: [String: TopicName]
    /// Names of the secrets that each worker is given when it starts.
    public var secrets: [String]
    /// What it needs of a node.
    public var workClass: WorkClass
    /// Nil while it has the class that it was made with.
    public var move: ClassMove?
    /// What it may connect to, nil for nothing.
    public var network: NetworkAccess?

    public init(
        name: ResourceName, revision: String, launch: LaunchOrder, initialization: [UInt8], plan: FunctionPlan,
        triggers: [HostTrigger] = [], emits: [String: TopicName] = [:], secrets: [String] = [],
        workClass: WorkClass = .cpu
    ) {
        self.workClass = workClass
        self.name = name
        self.revision = revision
        self.launch = launch
        self.initialization = initialization
        self.plan = plan
        self.triggers = triggers
        self.emits = emits
        self.secrets = secrets
    }
}

/// One trigger as the host runs it: a topic, a table, or the queue of accepted invocations.
public struct HostTrigger: Sendable {
    public enum Kind: Sendable, Hashable {
        /// A topic or a table of the manifest.
        case topic
        /// The function's accepted invocations: what they come to is a state on `apus.invocations`.
        case invocations
        /// A stretch of the topic of the trigger of the same name, given once more.
        case replay(HostReplay)
    }

    public var id: TriggerID
    public var kind: Kind
    public var name: String
    /// The generation in which the trigger was created: part of its ledger's key.
    public var generation: UInt64
    public var topic: TopicName
    public var replyTo: TopicName?
    /// Where dead letters go; `apus.dead` unless the trigger names a topic.
    public var deadLetter: TopicName
    public var filter: SubscriptionFilter
    /// What ties its outputs to its position: both in one transaction where an event is to take effect exactly once.
    public var outputs: LogBatch.Outputs
    /// Where each partition starts while its ledger has no entry; partitions beyond the list start at 0.
    public var starts: [Offset]

    public init(
        id: TriggerID, name: String, generation: UInt64, topic: TopicName, replyTo: TopicName? = nil,
        deadLetter: TopicName = .dead, filter: SubscriptionFilter = SubscriptionFilter(), starts: [Offset] = [],
        kind: Kind = .topic, outputs: LogBatch.Outputs = .transaction
    ) {
        self.id = id
        self.kind = kind
        self.name = name
        self.generation = generation
        self.topic = topic
        self.replyTo = replyTo
        self.deadLetter = deadLetter
        self.filter = filter
        self.starts = starts
        self.outputs = outputs
    }
}

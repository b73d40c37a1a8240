public import ApusCore
public import ApusEngine
internal import ApusJSON
public import ApusManifest

/// What is deployed, made by applying the records of `apus.control` in the order of the log.
///
/// A value: the one who follows the log holds it and gives copies to the shards. The ids it gives name functions and triggers for
/// the life of the process: the same through all revisions, never used again after a deletion.
public struct Catalogue: Sendable {
    public struct Function: Sendable, Equatable {
        public let id: FunctionID
        public let generation: UInt64
        public let revision: String
        public let bundle: String
        /// The key of the dependency layer; nil without dependencies.
        public let layer: String?
        public let manifest: FunctionManifest
        /// In the manifest's order, which is that of INIT's list.
        public let triggers: [Trigger]
        public let schedules: [Schedule]
        public internal(set) var pauses: Pauses
        /// See ``FunctionDeployment/origin``.
        public let origin: UInt64
        /// See ``FunctionDeployment/move``.
        public let move: ClassMove?
        /// Of a tool that was signed.
        public internal(set) var trust: ToolTrust?
        public let updated: Timestamp
        /// How often, in the life of this process, its workers had to make room for others that know a newer secret.
        public internal(set) var restarts: UInt64 = 0
        /// Those that go on.
        public internal(set) var replays: [Replay] = []

        public var name: ResourceName { self.manifest.name }
    }

    public struct Trigger: Sendable, Equatable {
        public let id: TriggerID
        public let function: ResourceName
        public let manifest: TriggerManifest
        public let deployment: TriggerDeployment

        public var name: String { self.manifest.name }
        public var topic: TopicName { self.manifest.topic }
    }

    /// A scheduled trigger.
    public struct Schedule: Sendable, Equatable {
        public let manifest: ScheduleTriggerManifest
        public let deployment: ScheduleDeployment

        public var name: String { self.manifest.name }
    }

    public struct Topic: Sendable, Equatable {
        public let generation: UInt64
        public let manifest: TopicManifest
        public let updated: Timestamp

        public var name: TopicName { self.manifest.topic }
    }

    public struct Upstream: Sendable, Equatable {
        public let generation: UInt64
        public let manifest: UpstreamManifest
        public let updated: Timestamp
    }

    public struct ToolServer: Sendable, Equatable {
        public let generation: UInt64
        public let manifest: ToolServerManifest
        public let updated: Timestamp

        public var name: ResourceName { self.manifest.name }
    }

    /// What a record changed: what those who hold plans and topics have to do.
    public enum Change: Sendable, Equatable {
        /// New, or a new generation of the previous one, or the same one paused or resumed. Triggers of the previous one that are
        /// not in it are gone.
        case functionApplied(Function, previous: Function?)
        case functionRemoved(Function)
        case topicApplied(Topic, previous: Topic?)
        case topicRemoved(Topic)
        case fateDecided(DeadLetterID, ControlRecord.DeadLetterFate)
        /// A token was made or revoked.
        case principalApplied(ResourceName)
        /// A secret was set, sealed anew or deleted. Workers of these functions hold an older value of it.
        case secretApplied(SecretName, restarting: [Function])
        /// A tool server was deployed or deleted.
        case toolServerChanged(ResourceName)
        /// Somebody is to decide about a call, or has decided, or it began.
        case approvalChanged(ApprovalID)
        /// An upstream, or what is known of its tools.
        case upstreamChanged(ResourceName)
        /// A tool of a function was hidden, or is shown again.
        case toolSwitched(Namespace)
        /// The record said nothing new: the deletion of what is not there, an older generation.
        case none
    }

    private struct TriggerKey: Hashable {
        var function: ResourceName
        var trigger: String
        var generation: UInt64
    }

    public private(set) var functions: [ResourceName: Function] = [:]
    public private(set) var topics: [TopicName: Topic] = [:]
    public private(set) var toolServers: [ResourceName: ToolServer] = [:]
    public private(set) var upstreams: [ResourceName: Upstream] = [:]
    public private(set) var upstreamTools: [ResourceName: UpstreamTools] = [:]
    /// By the name that agents know.
    public private(set) var disabledTools: [Namespace: [String: DisabledTool]] = [:]
    /// Earlier revisions; one may be the same as the function's newest, which was returned to.
    private(set) var kept: [ResourceName: [KeptRevision]] = [:]
    /// Those that go on, and those that ended a while ago.
    private(set) var replays: [ResourceName: [ReplayDeployment]] = [:]
    /// Later ones have greater ids, whatever the clock says.
    private(set) var newestReplay: ReplayID?
    private var pauses: [ResourceName: Pauses] = [:]
    /// Revoked and expired ones too.
    public private(set) var principals: [ResourceName: PrincipalDeployment] = [:]
    public private(set) var secrets: [SecretName: Secret] = [:]
    /// Those that are over, too, for a while.
    var approvals: [ApprovalID: Approval] = [:]
    /// The approval that says what becomes of a call, by the call's binding.
    var openApprovals: [String: ApprovalID] = [:]
    /// Of functions that are deleted and whose tools somebody had signed.
    private(set) var trustLeft: [ResourceName: ToolTrust] = [:]
    private var restarts: [ResourceName: UInt64] = [:]
    private var names: [FunctionID: ResourceName] = [:]
    /// By key of the record; kept through deletions.
    private var generations: [String: UInt64] = [:]
    private var triggerIDs: [TriggerKey: TriggerID] = [:]
    private var nextFunction: UInt32 = 1
    private var nextTrigger: UInt32 = 1

    public init() {}

    public func function(_ id: FunctionID) -> Function? { self.names[id].flatMap { self.functions[$0] } }

    /// The generation a name has reached, deletions counted; 0 for one that never was.
    public func generation(_ kind: ControlRecord.Kind, _ namespace: Namespace, _ name: String) -> UInt64 {
        if kind == .approval { return ApprovalID(name).flatMap { self.approvals[$0]?.generation } ?? 0 }
        return self.generations["\(kind.rawValue)/\(namespace)/\(name)"] ?? 0
    }

    /// The functions that read or write a topic, sorted.
    public func users(of topic: TopicName) -> [ResourceName] {
        self.functions.values.filter { function in function.manifest.referencedTopics.contains { $0.topic == topic } }
            .map(\.name).sorted()
    }

    /// Applies the next record of the log.
    /// - Throws: `log_damaged` when its manifest cannot be understood; the catalogue is unchanged then.
    public mutating func apply(_ record: ControlRecord) throws(ApusError) -> Change {
        if record.kind == .fate { return Self.fate(record) }
        if record.kind == .revision { return try self.applyRevision(record) }
        if record.kind == .replay { return try self.applyReplay(record) }
        if record.kind == .approval { return try self.applyApproval(record) }
        // Compaction keeps the order of the newest records, so that an older generation never follows; a copied log might.
        guard record.generation > self.generations[record.key] ?? 0 else { return .none }
        let change: Change
        switch (record.kind, record.content) {
        case (.function, .function(let deployment)): change = try self.apply(deployment, record)
        case (.topic, .topic(let manifest)):
            guard case .topic(let manifest) = try Self.manifest(manifest, record) else { throw Self.mismatch(record) }
            let topic = Topic(generation: record.generation, manifest: manifest, updated: record.time)
            change = .topicApplied(topic, previous: self.topics.updateValue(topic, forKey: topic.name))
        case (.toolServer, .toolServer(let manifest)):
            guard case .toolServer(let manifest) = try Self.manifest(manifest, record) else {
                throw Self.mismatch(record)
            }
            self.toolServers[manifest.name] = ToolServer(
                generation: record.generation, manifest: manifest, updated: record.time)
            change = .toolServerChanged(manifest.name)
        case (.toolServer, .deleted):
            guard let name = ResourceName(record.namespace, record.name) else { throw Self.mismatch(record) }
            change = self.toolServers.removeValue(forKey: name) == nil ? .none : .toolServerChanged(name)
        case (.upstream, _), (.upstreamTools, _): change = try self.applyUpstream(record)
        case (.toolSwitch, .toolDisabled(let principal)):
            self.disabledTools[record.namespace, default: [:]][record.name] = DisabledTool(
                principal: principal, since: record.time)
            change = .toolSwitched(record.namespace)
        case (.toolSwitch, .deleted):
            self.disabledTools[record.namespace]?[record.name] = nil
            change = .toolSwitched(record.namespace)
        case (.pause, .pause(let principal)):
            change = try self.apply(Pauses.Pause(principal: principal, since: record.time), record)
        case (.pause, .deleted): change = try self.apply(nil, record)
        case (.principal, .principal(let principal)):
            guard let name = ResourceName(record.namespace, record.name) else { throw Self.mismatch(record) }
            self.principals[name] = principal
            change = .principalApplied(name)
        case (.secret, .secret(let sealed)):
            guard let name = SecretName(record.namespace, record.name) else { throw Self.mismatch(record) }
            change = self.apply(sealed, name, record.generation)
        case (.secret, .deleted):
            guard let name = SecretName(record.namespace, record.name) else { throw Self.mismatch(record) }
            self.secrets[name] = nil
            change = .secretApplied(name, restarting: [])
        case (.function, .deleted): change = self.removeFunction(record)
        case (.topic, .deleted):
            let name = TopicName(record.namespace, record.name)
            change = name.flatMap { self.topics.removeValue(forKey: $0) }.map { .topicRemoved($0) } ?? .none
        default: throw Self.mismatch(record)
        }
        self.generations[record.key] = record.generation
        return change
    }

    private mutating func applyUpstream(_ record: ControlRecord) throws(ApusError) -> Change {
        guard let name = ResourceName(record.namespace, record.name) else { throw Self.mismatch(record) }
        switch (record.kind, record.content) {
        case (.upstream, .upstream(let manifest)):
            guard case .upstream(let manifest) = try Self.manifest(manifest, record) else { throw Self.mismatch(record) }
            self.upstreams[name] = Upstream(generation: record.generation, manifest: manifest, updated: record.time)
        case (.upstream, .deleted): self.upstreams[name] = nil
        case (.upstreamTools, .upstreamTools(let json)):
            guard let tools = UpstreamTools(json) else { throw Self.mismatch(record) }
            self.upstreamTools[name] = tools
        case (.upstreamTools, .deleted): self.upstreamTools[name] = nil
        default: throw Self.mismatch(record)
        }
        return .upstreamChanged(name)
    }

    private mutating func apply(_ deployment: FunctionDeployment, _ record: ControlRecord) throws(ApusError) -> Change {
        guard case .function(let manifest) = try Self.manifest(deployment.manifest, record),
            manifest.triggers.count == deployment.triggers.count,
            zip(manifest.triggers, deployment.triggers).allSatisfy({ $0.name == $1.name && $0.topic == $1.topic }),
            manifest.scheduleTriggers.map(\.name) == deployment.schedules.map(\.name)
        else { throw Self.mismatch(record) }
        let name = manifest.name
        let previous = self.functions[name]
        let triggers = zip(manifest.triggers, deployment.triggers).map { manifest, deployment in
            Trigger(
                id: self.triggerID(
                    TriggerKey(function: name, trigger: deployment.name, generation: deployment.generation)),
                function: name, manifest: manifest, deployment: deployment
            )
        }
        var function = Function(
            id: previous?.id ?? FunctionID(rawValue: self.nextFunction), generation: record.generation,
            revision: deployment.revision,
            bundle: deployment.bundle, layer: deployment.layer, manifest: manifest, triggers: triggers,
            schedules: zip(manifest.scheduleTriggers, deployment.schedules).map {
                Schedule(manifest: $0, deployment: $1)
            },
            pauses: self.pauses[name] ?? Pauses(), origin: deployment.origin, move: deployment.move,
            trust: deployment.trust,
            updated: record.time,
            restarts: self.restarts[name] ?? 0
        )
        if previous == nil { self.nextFunction += 1 }
        function.replays = self.openReplays(of: name, triggers)
        self.forgetTriggers(of: previous, keeping: triggers)
        self.functions[name] = function
        self.trustLeft[name] = nil
        self.names[function.id] = name
        return .functionApplied(function, previous: previous)
    }

    /// A value of another version is for new workers; what is only sealed anew concerns nobody.
    private mutating func apply(_ sealed: SealedSecret, _ name: SecretName, _ generation: UInt64) -> Change {
        let previous = self.secrets.updateValue(Secret(generation: generation, sealed: sealed), forKey: name)
        guard previous?.sealed.version != sealed.version else { return .secretApplied(name, restarting: []) }
        var restarting: [Function] = []
        for user in self.users(of: name) {
            self.restarts[user, default: 0] += 1
            self.functions[user]?.restarts = self.restarts[user] ?? 0
            if let function = self.functions[user] { restarting.append(function) }
        }
        return .secretApplied(name, restarting: restarting)
    }

    private mutating func removeFunction(_ record: ControlRecord) -> Change {
        guard let name = ResourceName(record.namespace, record.name) else { return .none }
        self.trustLeft[name] = record.trustLeft
        guard let function = self.functions.removeValue(forKey: name) else { return .none }
        self.names[function.id] = nil
        self.forgetTriggers(of: function, keeping: [])
        for replay in function.replays { self.triggerIDs[Self.key(of: replay.deployment, name)] = nil }
        self.kept[name] = nil
        self.replays[name] = nil
        return .functionRemoved(function)
    }

    private mutating func applyRevision(_ record: ControlRecord) throws(ApusError) -> Change {
        guard let (name, revision) = KeptRevision.parse(recordName: record.name, record.namespace) else {
            throw Self.mismatch(record)
        }
        var list = (self.kept[name] ?? []).filter { $0.revision != revision }
        if case .revision(let kept) = record.content {
            guard kept.revision == revision else { throw Self.mismatch(record) }
            list.append(kept)
        }
        self.kept[name] = list.isEmpty ? nil : list
        return .none
    }

    /// A pause may come before its function: compaction keeps the order of the newest records, and a deploy is newer.
    private mutating func apply(_ pause: Pauses.Pause?, _ record: ControlRecord) throws(ApusError) -> Change {
        guard let target = PauseTarget(record.namespace, recordName: record.name) else { throw Self.mismatch(record) }
        var pauses = self.pauses[target.function] ?? Pauses()
        pauses[target.trigger] = pause
        self.pauses[target.function] = pauses.isEmpty ? nil : pauses
        guard let previous = self.functions[target.function] else { return .none }
        var function = previous
        function.pauses = pauses
        self.functions[target.function] = function
        return .functionApplied(function, previous: previous)
    }

    /// A replay may come before its function, as a pause may.
    private mutating func applyReplay(_ record: ControlRecord) throws(ApusError) -> Change {
        guard let (name, id) = ReplayDeployment.parse(recordName: record.name, record.namespace) else {
            throw Self.mismatch(record)
        }
        var list = (self.replays[name] ?? []).filter { $0.id != id }
        if case .replay(let replay) = record.content {
            guard replay.id == id else { throw Self.mismatch(record) }
            list.append(replay)
        }
        self.newestReplay = max(self.newestReplay ?? id, id)
        self.replays[name] = list.isEmpty ? nil : list
        guard let previous = self.functions[name] else { return .none }
        var function = previous
        function.replays = self.openReplays(of: name, previous.triggers)
        guard function.replays != previous.replays else { return .none }
        for gone in previous.replays where !function.replays.contains(where: { $0.id == gone.id }) {
            self.triggerIDs[Self.key(of: gone.deployment, name)] = nil
        }
        self.functions[name] = function
        return .functionApplied(function, previous: previous)
    }

    private mutating func openReplays(of name: ResourceName, _ triggers: [Trigger]) -> [Replay] {
        var open: [Replay] = []
        for replay in self.replays[name] ?? [] where replay.end == nil {
            // Of another trigger of that name nothing is to be given.
            guard
                let trigger = triggers.first(where: {
                    $0.name == replay.trigger && $0.deployment.generation == replay.generation
                })
            else { continue }
            open.append(Replay(id: self.triggerID(Self.key(of: replay, name)), deployment: replay, trigger: trigger))
        }
        return open
    }

    private static func key(of replay: ReplayDeployment, _ name: ResourceName) -> TriggerKey {
        TriggerKey(function: name, trigger: "\(replay.trigger).replay", generation: replay.id.number)
    }

    /// Fates are as many as dead letters were: the projection keeps them, and whoever decides one asks it.
    private static func fate(_ record: ControlRecord) -> Change {
        guard let id = DeadLetterID(record.name), case .fate(let fate) = record.content else { return .none }
        return .fateDecided(id, fate)
    }

    private mutating func triggerID(_ key: TriggerKey) -> TriggerID {
        if let known = self.triggerIDs[key] { return known }
        let id = TriggerID(rawValue: self.nextTrigger)
        self.nextTrigger += 1
        self.triggerIDs[key] = id
        return id
    }

    private mutating func forgetTriggers(of previous: Function?, keeping triggers: [Trigger]) {
        for trigger in previous?.triggers ?? [] where !triggers.contains(where: { $0.id == trigger.id }) {
            let deployment = trigger.deployment
            self.triggerIDs[
                TriggerKey(function: trigger.function, trigger: deployment.name, generation: deployment.generation)] =
                nil
        }
    }

    private static func manifest(_ json: JSONValue, _ record: ControlRecord) throws(ApusError) -> Manifest {
        let manifest: Manifest
        do throws(ManifestErrors) {
            manifest = try Manifest(json: json, namespace: record.namespace)
        } catch {
            throw ApusError(
                .logDamaged, "the manifest of '\(record.key)' on apus.control cannot be read: \(error)", cause: error)
        }
        guard manifest.namespace == record.namespace, manifest.name == record.name else { throw Self.mismatch(record) }
        return manifest
    }

    private static func mismatch(_ record: ControlRecord) -> ApusError {
        ApusError(.logDamaged, "the record '\(record.key)' of apus.control contradicts itself")
    }
}

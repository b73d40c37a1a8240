public import ApusCore
public import ApusEngine

/// A stretch of a topic that a trigger is given once more, beside what it is given anyway: with a position of its own, and an end.
public struct ReplayDeployment: Sendable, Equatable {
    public enum Outcome: String, Sendable, Hashable, CaseIterable {
        /// All of it was given.
        case finished
        /// Somebody cancelled it, or its trigger is gone.
        case cancelled
    }

    /// How it ended.
    public struct End: Sendable, Equatable {
        public var outcome: Outcome
        public var time: Timestamp

        public init(_ outcome: Outcome, at time: Timestamp) {
            self.outcome = outcome
            self.time = time
        }
    }

    public var id: ReplayID
    public var trigger: String
    /// The generation that made the trigger: one that is deleted and made again is another one.
    public var generation: UInt64
    public var topic: TopicName
    /// Nil is from the first record there was.
    public var from: Timestamp?
    /// Records that the log took from then on are not given.
    public var to: Timestamp
    /// What `from` and `to` meant when it was made, for each partition there was.
    public var starts: [Offset]
    public var ends: [Offset]
    /// How many deliveries may begin in a second; nil has no bound.
    public var perSecond: Int?
    /// Whether replies and emitted events are written.
    public var writesOutputs: Bool
    public var principal: String
    public var created: Timestamp
    /// Nil while it goes on.
    public var end: End?

    public init(
        id: ReplayID, trigger: String, generation: UInt64, topic: TopicName, from: Timestamp?, to: Timestamp,
        starts: [Offset], ends: [Offset], perSecond: Int?, writesOutputs: Bool, principal: String, created: Timestamp,
        end: End? = nil
    ) {
        self.id = id
        self.trigger = trigger
        self.generation = generation
        self.topic = topic
        self.from = from
        self.to = to
        self.starts = starts
        self.ends = ends
        self.perSecond = perSecond
        self.writesOutputs = writesOutputs
        self.principal = principal
        self.created = created
        self.end = end
    }

    /// Offsets from its starts to its ends: at least as many as records.
    public var total: Int64 { zip(self.starts, self.ends).reduce(0) { $0 + max(0, $1.1 - $1.0) } }

    /// What the keys of its ledger entries begin with.
    public func ledgerPrefix(of function: ResourceName) -> [UInt8] {
        LedgerKey.replayPrefix(function: function, trigger: self.trigger, number: self.id.number)
    }

    /// The name of its control record: `function/id`.
    func recordName(of function: String) -> String { "\(function)/\(self.id)" }

    static func parse(recordName: String, _ namespace: Namespace) -> (function: ResourceName, id: ReplayID)? {
        let parts = recordName.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, let function = ResourceName(namespace, parts[0]), let id = ReplayID(parts[1]) else {
            return nil
        }
        return (function, id)
    }
}

/// A replay that somebody asks for.
public struct ReplayOrder: Sendable, Equatable {
    /// Nil for the only trigger on a topic that the function has.
    public var trigger: String?
    /// Nil is from the first record there is.
    public var from: Timestamp?
    /// Nil is up to now.
    public var to: Timestamp?
    public var perSecond: Int?
    public var writesOutputs: Bool
    public var principal: String

    public init(
        trigger: String? = nil, from: Timestamp? = nil, to: Timestamp? = nil, perSecond: Int? = nil,
        writesOutputs: Bool = true, principal: String
    ) {
        self.trigger = trigger
        self.from = from
        self.to = to
        self.perSecond = perSecond
        self.writesOutputs = writesOutputs
        self.principal = principal
    }
}

extension Catalogue {
    /// A replay that goes on.
    public struct Replay: Sendable, Equatable {
        /// Names it to the engine, as a trigger.
        public let id: TriggerID
        public let deployment: ReplayDeployment
        /// The trigger as the function's newest revision has it.
        public let trigger: Trigger
    }

    /// The replays of a function, those that ended a while ago too, the newest first.
    public func replays(of name: ResourceName) -> [ReplayDeployment] {
        (self.replays[name] ?? []).sorted { $0.id > $1.id }
    }

    /// What an order would come to.
    /// - Parameter resolve: the offset that a position means on an existing partition.
    public func replay(
        _ order: ReplayOrder, of name: ResourceName, now: Timestamp,
        resolve: (TopicPartition, StartPosition) throws(ApusError) -> Offset
    ) throws(ApusError) -> ReplayDeployment {
        let result = withoutActuallyEscaping(resolve) { resolve -> Result<ReplayDeployment, ApusError> in
            let decider = ControlDecider(
                catalogue: self, now: now, revisionsPerFunction: Limits.Control.revisionsPerFunction, resolve: resolve)
            do throws(ApusError) { return .success(try decider.replay(name, order)) } catch { return .failure(error) }
        }
        return try result.get()
    }

    /// All replays of a namespace, the newest first.
    public func replays(in namespace: Namespace) -> [(function: ResourceName, replay: ReplayDeployment)] {
        self.replays.filter { $0.key.namespace == namespace }.flatMap { name, list in list.map { (name, $0) } }
            .sorted { $0.1.id > $1.1.id }
    }

    /// - Throws: `function_not_found`, `not_found`.
    public func replay(_ id: ReplayID, of name: ResourceName) throws(ApusError) -> ReplayDeployment {
        guard self.functions[name] != nil else {
            throw ApusError(
                .functionNotFound, "there is no function '\(name)'; 'apus get functions' lists those that are")
        }
        guard let replay = self.replays[name]?.first(where: { $0.id == id }) else {
            throw ApusError(.notFound, "'\(name)' has no replay '\(id)': see `apus replay list \(name.name)`")
        }
        return replay
    }
}

internal import ApusCore
internal import ApusEngine

/// One revision of a function while the host runs it. Workers keep the revision they were started for.
final class FunctionState {
    let function: HostFunction
    let triggers: [TriggerState]
    /// For outputs of direct invocations.
    let template: OutputTemplate
    /// The function's triggers, in INIT's order. Accepted invocations reach the handler as direct ones do, and have no place there.
    private let places: [TriggerID?]

    init(_ function: HostFunction, triggers: [TriggerState]) {
        self.function = function
        self.triggers = triggers
        self.places = function.triggers.map { $0.kind == .topic ? $0.id : nil }
        self.template = OutputTemplate(function: function.name, topic: nil)
    }

    /// The place of a trigger in INIT's list. Functions have few triggers, so a search is the quickest look-up.
    func place(of trigger: HostTrigger) -> UInt32 {
        for index in self.places.indices where self.places[index] == trigger.id { return UInt32(index) }
        // A worker may be older than the replay that it is given.
        guard case .replay = trigger.kind else { return InvokeHead.direct }
        for (index, candidate) in self.function.triggers.enumerated()
        where candidate.kind == .topic && candidate.name == trigger.name {
            return UInt32(index)
        }
        return InvokeHead.direct
    }
}

/// One trigger while the host runs it; it lives on across revisions of its function.
final class TriggerState {
    private(set) var trigger: HostTrigger
    private(set) var functionName: ResourceName
    let function: FunctionID
    private(set) var revision: String
    private(set) var template: OutputTemplate
    private(set) var isTable: Bool
    /// What its function needs of a node.
    private(set) var workClass: WorkClass
    private(set) var move: ClassMove?
    /// Its function has another class by now: what runs ends, and nothing begins.
    var isMoving = false
    /// Outcomes of the trigger append records.
    private(set) var hasOutputs: Bool
    private(set) var isCompacted: Bool
    /// Nil lets every event run.
    private(set) var dedupWindow: TimeSpan?
    let ledgerPrefix: [UInt8]
    /// Itself, as a redriven event names the one that may take it: `namespace/function/trigger`.
    let path: [UInt8]
    /// By which tools of others know its position; nil for what has none.
    let group: String?
    /// The upper half of the ids of its invocations.
    let identity: UInt64
    /// Of the trigger that runs accepted invocations.
    let invocations: InvocationLane?
    /// Of a trigger that is one.
    let replay: HostReplay?
    /// The next offset of each open partition, as far as the log told.
    var ends: [Offset] = []

    init(_ trigger: HostTrigger, of function: HostFunction, plan: TriggerPlan, isCompacted: Bool, logIdentity: UInt64) {
        self.trigger = trigger
        self.functionName = function.name
        self.function = function.plan.function
        self.revision = function.revision
        self.template = OutputTemplate(function: function.name, topic: trigger.topic)
        self.isTable = plan.kind == .table
        self.workClass = function.workClass
        self.move = Self.move(of: trigger, function)
        self.replay = if case .replay(let replay) = trigger.kind { replay } else { nil }
        self.hasOutputs =
            (trigger.replyTo != nil || !function.emits.isEmpty) && (self.replay?.writesOutputs ?? true)
        self.isCompacted = isCompacted
        self.dedupWindow = plan.dedupWindow
        self.path = Array("\(function.name.namespace)/\(function.name.name)/\(trigger.name)".utf8)
        self.ledgerPrefix =
            self.replay.map {
                LedgerKey.replayPrefix(function: function.name, trigger: trigger.name, number: $0.number)
            } ?? LedgerKey.prefix(function: function.name, trigger: trigger.name, generation: trigger.generation)
        self.identity = InvocationTrigger.identity(ledgerPrefix: self.ledgerPrefix, logIdentity: logIdentity)
        self.invocations = trigger.kind == .invocations ? InvocationLane() : nil
        self.group =
            trigger.kind == .topic && plan.kind == .topic
            ? GroupPosition.group(of: function.name, trigger: trigger.name) : nil
    }

    /// What tools of others are to be shown.
    func position(_ partition: Int, _ offset: Offset?) -> GroupPosition? {
        self.group.map {
            GroupPosition(group: $0, place: TopicPartition(self.trigger.topic, partition), offset: offset)
        }
    }

    func update(_ trigger: HostTrigger, of function: HostFunction, plan: TriggerPlan, isCompacted: Bool) {
        self.trigger = trigger
        self.revision = function.revision
        self.isTable = plan.kind == .table
        self.hasOutputs =
            (trigger.replyTo != nil || !function.emits.isEmpty) && (self.replay?.writesOutputs ?? true)
        self.isCompacted = isCompacted
        self.dedupWindow = plan.dedupWindow
    }

    /// A trigger that was made after the function had its class was never another's.
    private static func move(of trigger: HostTrigger, _ function: HostFunction) -> ClassMove? {
        function.move.flatMap { trigger.generation >= $0.since ? nil : $0 }
    }

    /// Nothing of it is open.
    func moved(to workClass: WorkClass, _ move: ClassMove?) {
        self.workClass = workClass
        self.move = move
        self.isMoving = false
    }

    func dedup(partition: Int) -> Deduplication? {
        self.dedupWindow.map {
            Deduplication(scope: LedgerKey.key(prefix: self.ledgerPrefix, partition: partition), window: $0)
        }
    }

    /// Attempts of one delivery have one id, and a restart gives the same.
    func invocation(partition: Int, offset: Offset) -> InvocationID {
        InvocationID(high: self.identity, low: UInt64(partition) << 48 | UInt64(offset) & 0xFFFF_FFFF_FFFF)
    }

    func place(_ partition: Int, _ offset: Offset) -> RecordPlace {
        RecordPlace(TopicPartition(self.trigger.topic, partition), offset)
    }
}

/// A 64-bit hash of a record's key, never 0. Two keys of one hash wait for each other, which harms nobody.
public enum KeyHash {
    public static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var hash: UInt64 = 0x9E37_79B9_7F4A_7C15 ^ UInt64(bytes.count)
        var at = 0
        while at + 8 <= bytes.count {
            hash = Self.mix(hash ^ bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
            at += 8
        }
        var tail: UInt64 = 0
        while at < bytes.count {
            tail = tail << 8 | UInt64(bytes[at])
            at += 1
        }
        hash = Self.mix(hash ^ tail)
        return hash == 0 ? 1 : hash
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        let product = value.multipliedFullWidth(by: 0xD6E8_FEB8_6659_FD93)
        return product.high ^ product.low
    }
}

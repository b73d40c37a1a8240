public import ApusCore
public import ApusEngine

/// The trigger that runs the accepted invocations of one function, as it is called on the log.
///
/// It is made with the function's first asynchronous invocation, not by a manifest, and goes with the function.
public struct InvocationTrigger: Sendable, Equatable {
    /// Holds a dot, so that no trigger of a manifest has it.
    public static let name = "apus.invoke"

    public let function: ResourceName
    /// The generation that made the function.
    public let origin: UInt64
    public let ledgerPrefix: [UInt8]
    /// The upper half of the ids of its invocations.
    public let identity: UInt64
    /// Of the function.
    public let workClass: WorkClass

    public init(_ function: ResourceName, origin: UInt64, logIdentity: UInt64, workClass: WorkClass = .cpu) {
        self.function = function
        self.workClass = workClass
        self.origin = origin
        self.ledgerPrefix = LedgerKey.prefix(function: function, trigger: Self.name, generation: origin)
        self.identity = Self.identity(ledgerPrefix: self.ledgerPrefix, logIdentity: logIdentity)
    }

    /// Where the accepted invocations lie: one partition.
    public var place: TopicPartition { TopicPartition(.invoke(self.function), 0) }
    public var ledgerKey: [UInt8] { LedgerKey.key(prefix: self.ledgerPrefix, partition: 0) }

    public func invocation(_ offset: Offset) -> InvocationID {
        InvocationID(high: self.identity, low: UInt64(bitPattern: offset))
    }

    static func identity(ledgerPrefix: [UInt8], logIdentity: UInt64) -> UInt64 {
        ledgerPrefix.withUnsafeBytes { KeyHash.hash($0) } ^ logIdentity
    }

    /// Whose owner runs the queue.
    public var share: Share { Share.of(self.place.topic, partition: 0, self.workClass) }

    /// The queue's entry of the ledger.
    public func entry(_ value: [UInt8]) -> LogBatch.LedgerWrite {
        LogBatch.LedgerWrite(key: self.ledgerKey, value: value, share: self.share)
    }

    /// Says whose queue it is where nodes share it: whichever of them makes it writes the same, and never over what its owner settled.
    public var openedKey: [UInt8] { self.ledgerPrefix + Array("opened".utf8) }

    /// What the keys of all queues of a function of this name begin with.
    public static func prefix(of function: ResourceName) -> [UInt8] {
        Array("\(function.namespace)/\(function.name)/\(Self.name)/".utf8)
    }

    // MARK: marks

    public func markEntry(_ mark: InvocationMark, _ value: [UInt8]?) -> LogBatch.LedgerWrite {
        LogBatch.LedgerWrite(key: mark.key(prefix: self.ledgerPrefix), value: value, share: self.share)
    }

    /// The entry of the ledger that says that an invocation is to be cancelled.
    public func cancelEntry(_ offset: Offset, _ value: [UInt8]?) -> LogBatch.LedgerWrite {
        self.markEntry(.cancel(offset), value)
    }

    /// The offset of an invocation that is to be cancelled, where a key names one.
    public static func cancelledOffset(of key: [UInt8], prefix: [UInt8]) -> Offset? {
        guard case .cancel(let offset) = InvocationMark(key: key, prefix: prefix) else { return nil }
        return offset
    }

    /// The key of the request to cancel an invocation on `apus.invocations`.
    public static func cancelRequest(_ id: InvocationID) -> [UInt8] { Array("\(id)/cancel".utf8) }
}

extension HostFunction {
    /// The function with its queue of accepted invocations. They are tried again as a topic's deliveries are by default.
    public func accepting(_ trigger: InvocationTrigger, as id: TriggerID) -> HostFunction {
        var function = self
        function.triggers.append(
            HostTrigger(
                id: id, name: InvocationTrigger.name, generation: trigger.origin, topic: trigger.place.topic,
                kind: .invocations))
        function.plan.triggers.append(TriggerPlan(trigger: id, order: .none, hasOutputs: true))
        return function
    }
}

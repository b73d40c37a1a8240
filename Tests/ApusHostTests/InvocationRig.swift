import ApusCore
import ApusEngine
import ApusHost
import ApusLoop
import ApusTestSupport
import Testing

/// A bed with a function that takes invocations, and what names its queue.
struct InvocationRig {
    static let id: UInt32 = 1
    static let queue = TriggerID(rawValue: 1_000)

    let bed: Bed
    let trigger: InvocationTrigger
    let function: HostFunction

    init(
        _ mode: [String] = [], log: (any EventLog)? = nil, timeout: TimeSpan = .seconds(30), emits: Bool = false,
        engine: EngineConfiguration = EngineConfiguration(), approvals: KnownApprovals? = nil
    ) async throws {
        self.bed = try await Bed(log: log, engine: engine, approvals: approvals)
        _ = try Self.states(self.bed)
        let alerts = try self.bed.topic("alerts")
        var function = ApusHostTests.function(
            Self.id, mode, timeout: timeout, emits: emits ? ["alerts": alerts] : [:])
        self.trigger = InvocationTrigger(function.name, origin: 1, logIdentity: self.bed.log.identity)
        try self.bed.log.createTopic(self.trigger.place.topic, TopicConfiguration(partitions: 1))
        function = function.accepting(self.trigger, as: Self.queue)
        for index in function.plan.triggers.indices {
            function.plan.triggers[index].retry = RetryPlan(
                attempts: 3, initial: .milliseconds(1), max: .milliseconds(5))
        }
        self.function = function
    }

    static func states(_ bed: Bed) throws -> TopicName {
        if bed.log.topic(.invocations) == nil {
            try bed.log.createTopic(
                .invocations, TopicConfiguration(partitions: Limits.Invocations.partitions, isCompacted: true))
        }
        return .invocations
    }

    func deploy() async throws { try await self.bed.deploy(self.function) }

    func accept(_ data: String, expires: Timestamp? = nil, told: [Attribute] = []) async throws {
        var attributes = [Attribute("apus-principal", "tester", kind: .header)] + told
        if let expires { attributes.append(Attribute("apus-expires", "\(expires.microseconds)", kind: .header)) }
        try await self.bed.publish(self.trigger.place.topic, [event(data, attributes)])
    }

    /// Every record of an invocation's states that is on the topic: one key keeps one.
    func records(_ offset: Offset) -> [Event] {
        let key = Array(self.trigger.invocation(offset).description.utf8)
        return (0..<Limits.Invocations.partitions).flatMap { self.bed.events(of: .invocations, partition: $0) }
            .filter { $0.key == key }
    }

    func state(_ offset: Offset) -> String? { self.records(offset).first?.header("apus-state") }

    func endedCount(_ count: Int) -> Int {
        (0..<count).count { self.state(Offset($0)).flatMap(InvocationState.init(rawValue:))?.isTerminal ?? false }
    }

    func ended(_ offset: Offset, seconds: Int64 = 30) async throws -> Event {
        try await self.bed.until("invocation \(offset) to end", seconds: seconds) {
            self.state(offset).flatMap(InvocationState.init(rawValue:))?.isTerminal ?? false
        }
        #expect(self.records(offset).count == 1)
        return try #require(self.records(offset).first)
    }

    func cancel(_ offset: Offset) async throws {
        let mark = LogBatch.LedgerWrite(key: InvocationMark.cancel(offset).key(prefix: self.trigger.ledgerPrefix), value: [1])
        let request = InvocationReport.cancelRequest(self.trigger.invocation(offset), principal: "tester")
        _ = try await withCheckedContinuation { continuation in
            self.bed.log.submit(LogBatch(urgency: .settlement, appends: [request], ledger: [mark])) {
                continuation.resume(returning: $0)
            }
        }.get()
        await self.bed.run {
            self.bed.shard.cancelInvocation(FunctionID(rawValue: Self.id), offset: offset)
        }
    }

    /// The requests to cancel that nobody has answered.
    func openRequests() throws -> Int {
        let marks = try self.bed.log.ledger(prefix: self.trigger.ledgerPrefix)
        return marks.count {
            InvocationTrigger.cancelledOffset(of: $0.key, prefix: self.trigger.ledgerPrefix) != nil
        }
    }
}

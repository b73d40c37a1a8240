internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusLoop
internal import ApusManifest
internal import ApusStore
internal import ApusTelemetry
internal import Synchronization

/// Takes asynchronous invocations: each is an append to its function's queue, bounded in number, and a delivery from then on.
///
/// A queue is a topic that is made with the function's first asynchronous invocation and goes with the function. Making and
/// closing one happens on the control thread, so that neither meets a deployment of the same function.
final class InvocationQueue: InvocationAccepting {
    /// The open queue of one function.
    struct Lane: Sendable {
        var trigger: InvocationTrigger
        var function: FunctionID
        var shard: Int
        /// Accepted and not yet ended, those being appended included.
        var open: Int
        /// On their way to the log.
        var appending = 0
        /// Told when the last of them is there: nothing is accepted any more.
        var onClosed: (@Sendable () -> Void)?
    }

    typealias DecidedWriter =
        @Sendable (
            LogBatch, @escaping @Sendable (Result<LogReceipt, ApusError>) -> Void
        ) -> Void

    private struct State {
        var lanes: [ResourceName: Lane] = [:]
        /// By the upper half of their invocations' ids.
        var names: [UInt64: ResourceName] = [:]
        var isStopping = false
    }

    let log: any EventLog
    private let shards: [ShardRuntime]
    private let openMax: Int
    private let state = Mutex(State())
    /// Runs something on the control thread with what is deployed; nil when the server stops. False when too much waits.
    private let onControl = Mutex<(@Sendable (@escaping @Sendable (Catalogue?) -> Void) -> Bool)?>(nil)
    /// Writes what must be together with something that one node decides, as the next firing of a schedule.
    private let decided = Mutex<DecidedWriter?>(nil)
    /// Tells the projection of a queue that was made, or is gone.
    private let projection: Mutex<ProjectionFollower?> = Mutex(nil)

    init(log: any EventLog, shards: [ShardRuntime], openMax: Int) {
        self.log = log
        self.shards = shards
        self.openMax = openMax
    }

    /// Before anything is accepted.
    func bind(
        projection: ProjectionFollower, decided: @escaping DecidedWriter,
        onControl: @escaping @Sendable (@escaping @Sendable (Catalogue?) -> Void) -> Bool
    ) {
        self.projection.withLock { $0 = projection }
        self.decided.withLock { $0 = decided }
        self.onControl.withLock { $0 = onControl }
    }

    // MARK: accepting

    func accept(
        _ function: ResourceName, _ event: Event, principal: String, told: [Attribute], along: [LogBatch.Append],
        once: LogBatch.Once?, completion: @escaping @Sendable (Result<AcceptedInvocation, ApusError>) -> Void
    ) {
        let order: InvocationOrder
        do throws(ApusError) {
            order = try InvocationOrder(event, principal: principal, told: told, now: SystemClock().now)
        } catch { return completion(.failure(error)) }
        switch self.reserve(function) {
        case .lane(let trigger): self.append(order, to: trigger, along, once, completion)
        case .refused(let error): completion(.failure(error))
        case .noLane: self.acceptFirst(function, order, along, once, completion)
        }
    }

    private enum Reservation {
        case lane(InvocationTrigger)
        case noLane
        case refused(ApusError)
    }

    /// Takes a place in the queue, which ``release(_:)`` or the invocation's end gives back.
    private func reserve(_ function: ResourceName) -> Reservation {
        self.state.withLock { state in
            if state.isStopping { return .refused(Self.stopping) }
            guard let lane = state.lanes[function] else { return .noLane }
            guard lane.onClosed == nil else { return .refused(Self.unknown(function)) }
            guard lane.open < self.openMax else {
                return .refused(
                    ApusError(
                        .queueFull,
                        "\(lane.open) invocations of '\(function)' wait already; try again later, or see `apus get invocations`"
                    ))
            }
            state.lanes[function]?.open += 1
            state.lanes[function]?.appending += 1
            return .lane(lane.trigger)
        }
    }

    private static let stopping = ApusError(.shuttingDown, "the server is stopping: try again in a moment")

    static func unknown(_ function: ResourceName) -> ApusError {
        ApusError(.functionNotFound, "the function '\(function)' is not deployed: see `apus get functions`")
    }

    private func append(
        _ order: InvocationOrder, to trigger: InvocationTrigger, _ along: [LogBatch.Append], _ once: LogBatch.Once?,
        _ completion: @escaping @Sendable (Result<AcceptedInvocation, ApusError>) -> Void
    ) {
        let first = LogBatch.Append(
            topic: trigger.place.topic, partition: 0, block: order.block(lane: trigger.identity))
        let once = once.map { Self.scoped($0, to: trigger) }
        let batch = LogBatch(urgency: .producer, appends: [first] + along, once: once)
        self.submit(batch, isDecided: !along.isEmpty) { result in
            // One that had been accepted before takes no second place in the queue.
            let isThere = if case .success(let receipt) = result { !receipt.isRepeated } else { false }
            self.appended(trigger.function, isThere: isThere)
            completion(
                result.map { receipt in
                    let offset = receipt.places[0].offset
                    return AcceptedInvocation(
                        id: trigger.invocation(offset), position: RecordPlace(trigger.place, offset),
                        isRepeated: receipt.isRepeated)
                })
        }
    }

    private func submit(
        _ batch: LogBatch, isDecided: Bool, _ completion: @escaping @Sendable (Result<LogReceipt, ApusError>) -> Void
    ) {
        guard isDecided, let decided = self.decided.withLock({ $0 }) else { return self.log.submit(batch, completion) }
        decided(batch, completion)
    }

    /// What was accepted for a function that was deleted and made again is not this one's.
    private static func scoped(_ once: LogBatch.Once, to trigger: InvocationTrigger) -> LogBatch.Once {
        var once = once
        var identity: [UInt8] = []
        identity.appendLittleEndian(trigger.identity)
        for (index, byte) in identity.enumerated() where index < once.key.count { once.key[index] ^= byte }
        return once
    }

    private func appended(_ function: ResourceName, isThere: Bool) {
        let onClosed = self.state.withLock { state -> (@Sendable () -> Void)? in
            state.lanes[function]?.appending -= 1
            if !isThere { state.lanes[function]?.open -= 1 }
            return state.lanes[function]?.appending == 0 ? state.lanes[function]?.onClosed : nil
        }
        onClosed?()
    }

    /// The function's first: its queue is made.
    private func acceptFirst(
        _ function: ResourceName, _ order: InvocationOrder, _ along: [LogBatch.Append], _ once: LogBatch.Once?,
        _ completion: @escaping @Sendable (Result<AcceptedInvocation, ApusError>) -> Void
    ) {
        let onControl = self.onControl.withLock { $0 }
        let isQueued = onControl?({ catalogue in
            do throws(ApusError) {
                guard let catalogue else { throw Self.stopping }
                try self.open(function, catalogue)
                switch self.reserve(function) {
                case .lane(let trigger): self.append(order, to: trigger, along, once, completion)
                case .refused(let error): throw error
                case .noLane: throw Self.unknown(function)
                }
            } catch { completion(.failure(error)) }
        })
        if isQueued != true { completion(.failure(Self.stopping)) }
    }

    /// Terminal states became durable. From any thread.
    func ended(_ function: ResourceName, _ count: Int) {
        // Where nodes share the queue they are counted on the log.
        if self.isShared { return }
        self.state.withLock { $0.lanes[function]?.open -= count }
    }

    // MARK: what there is

    /// Where an invocation was accepted; nil when its function is not deployed any more.
    func place(of id: InvocationID) -> RecordPlace? {
        self.lane(of: id).map { RecordPlace($0.trigger.place, Offset(bitPattern: id.low)) }
    }

    func lane(of id: InvocationID) -> Lane? {
        self.state.withLock { state in state.names[id.high].flatMap { state.lanes[$0] } }
    }

    func shard(_ index: Int) -> ShardRuntime { self.shards[index] }

    func isOpen(_ function: ResourceName) -> Bool { self.state.withLock { $0.lanes[function] != nil } }

    /// Accepted and not yet ended.
    func openCount(_ function: ResourceName) -> Int { self.state.withLock { $0.lanes[function]?.open ?? 0 } }

    // MARK: queues

    /// Finds the queues that are on the log, and finishes those whose function is gone. Before the shards get their functions.
    /// - Returns: the topics of those that are open.
    func restore(_ catalogue: Catalogue, _ journal: Log) -> Set<TopicName> {
        var topics: Set<TopicName> = []
        for topic in self.log.topics() {
            guard let name = topic.invokedFunction else { continue }
            do throws(ApusError) {
                let function = catalogue.functions[name]
                if let function, let open = try self.openCount(of: self.trigger(of: function)) {
                    self.add(function, self.trigger(of: function), open: open)
                    topics.insert(topic)
                } else {
                    try QueueClosing(log: self.log, function: name).run()
                }
            } catch {
                // The others are no worse for it; the next start tries again.
                journal.error("the queue of invocations of '\(name)' cannot be taken up: \(error.message)")
            }
        }
        return topics
    }

    /// How many on a queue are not settled; nil when the queue is not this function's.
    private func openCount(of trigger: InvocationTrigger) throws(ApusError) -> Int? {
        if self.isShared { return try self.sharedOpenCount(of: trigger) }
        let entries = try self.log.ledger(prefix: trigger.ledgerPrefix)
        guard let entry = entries.first(where: { $0.key == trigger.ledgerKey }) else { return nil }
        let state = try LedgerKey.decode(entry.value)
        let bounds = try self.log.bounds(of: trigger.place)
        let settled = state.settled.reduce(0) { $0 + $1.count }
        return max(0, Int(bounds.end - max(state.watermark, bounds.start)) - settled)
    }

    private func trigger(of function: Catalogue.Function) -> InvocationTrigger {
        InvocationTrigger(
            function.name, origin: function.origin, logIdentity: self.log.identity,
            workClass: function.manifest.resources.workClass)
    }

    private func add(_ function: Catalogue.Function, _ trigger: InvocationTrigger, open: Int) {
        let shard = FunctionDirectory.shard(of: function.name, among: self.shards.count)
        self.state.withLock { state in
            state.lanes[function.name] = Lane(trigger: trigger, function: function.id, shard: shard, open: open)
            state.names[trigger.identity] = function.name
        }
    }

    /// What a shard runs: with the queue, when there is one.
    func hostFunction(_ function: Catalogue.Function) -> HostFunction {
        let host = self.placed(function.hostFunction)
        guard self.isOpen(function.name) else { return host }
        return host.accepting(self.trigger(of: function), as: function.invocationTrigger)
    }

    /// On a server without its class nothing of a function runs: no worker is kept either.
    private func placed(_ function: HostFunction) -> HostFunction {
        guard let sharing = self.log.sharing, !sharing.classes.contains(function.workClass) else { return function }
        var function = function
        function.plan.scale.min = 0
        return function
    }

    /// Makes a function's queue and lets its shard follow it. On the control thread.
    func open(_ name: ResourceName, _ catalogue: Catalogue) throws(ApusError) {
        if self.isOpen(name) { return }
        guard let function = catalogue.functions[name] else { throw Self.unknown(name) }
        let trigger = self.trigger(of: function)
        let topic = trigger.place.topic
        var open = self.log.topic(topic) == nil ? nil : try self.openCount(of: trigger)
        if open == nil {
            // One that a function of this name left behind is finished first: its invocations are not this one's.
            if self.log.topic(topic) != nil { try QueueClosing(log: self.log, function: name).run() }
            try self.log.createTopic(topic, TopicConfiguration(partitions: 1))
            try self.writeOpening(of: trigger)
            open = 0
        }
        let runtime = self.shards[FunctionDirectory.shard(of: name, among: self.shards.count)]
        let host = self.placed(function.hostFunction).accepting(trigger, as: function.invocationTrigger)
        let failure = runtime.loop.runAndWait { () -> ApusError? in
            do throws(ApusError) {
                try runtime.shard.apply(host)
                return nil
            } catch { return error }
        }
        if let failure { throw failure }
        self.add(function, trigger, open: open ?? 0)
        self.projection.withLock { $0 }?.follow([topic])
    }

    /// Says on the log whose queue it is, before anything is accepted.
    private func writeOpening(of trigger: InvocationTrigger) throws(ApusError) {
        let state = LedgerState(watermark: 0).encode()
        let entry =
            self.isShared
            ? LogBatch.LedgerWrite(key: trigger.openedKey, value: state, share: trigger.share) : trigger.entry(state)
        try self.log.write(LogBatch(urgency: .settlement, ledger: [entry]))
    }

    /// Sets how many wait in each queue.
    /// - Parameter count: nil where it cannot be said now.
    func recount(_ count: (TopicPartition) -> Int?) {
        let lanes = self.state.withLock { $0.lanes }
        for (name, lane) in lanes {
            guard let open = count(lane.trigger.place) else { continue }
            self.state.withLock { state in
                guard let appending = state.lanes[name]?.appending else { return }
                state.lanes[name]?.open = open + appending
            }
        }
    }

    /// A function is going: nothing of it is accepted any more, and what was on its way is on the log when this returns.
    /// On the control thread.
    func close(_ name: ResourceName) {
        let closed = ResultSlot<Bool>()
        let mustWait = self.state.withLock { state in
            guard let lane = state.lanes[name] else { return false }
            state.lanes[name]?.onClosed = { closed.fill(true) }
            return lane.appending > 0
        }
        if mustWait { _ = closed.take() }
        self.state.withLock { state in
            guard let lane = state.lanes.removeValue(forKey: name) else { return }
            state.names[lane.trigger.identity] = nil
        }
    }

    /// Finishes what a function left open, once its shard writes nothing of it any more, and deletes its queue. On the control
    /// thread. What cannot be done now is done at the next start, or when the function is made again.
    func finish(_ name: ResourceName) throws(ApusError) {
        let topic = TopicName.invoke(name)
        guard self.log.topic(topic) != nil else { return }
        self.projection.withLock { $0 }?.forget(topic)
        try QueueClosing(log: self.log, function: name).run()
    }

    /// Nothing is accepted from here on.
    func stop() { self.state.withLock { $0.isStopping = true } }
}

/// Tells the queue that invocations have ended: the shards that say so are made before it.
final class InvocationsEnded: Sendable {
    private let queue = Mutex<InvocationQueue?>(nil)

    func tell(_ queue: InvocationQueue) { self.queue.withLock { $0 = queue } }
    func tell(_ function: ResourceName, _ count: Int) { self.queue.withLock { $0 }?.ended(function, count) }
}

internal import ApusCore
package import ApusEngine

/// Drives the real engine through a run made up from a seed: virtual time, a simulated log, simulated workers, faults;
/// then checks after every step what must always hold, and at the end that everything settled.
package final class Simulator {
    /// What happens at a moment.
    enum Event {
        // The world.
        case publish(topic: Int)
        case retain
        case outage(Bool)
        case logShort(Bool)
        /// The topic that a trigger's outputs go to is gone.
        case topicGone(trigger: Int, Bool)
        case pause(function: Int, Bool)
        case redeploy(function: Int)
        case remove(function: Int)
        case invoke(function: Int)
        case cancel(topic: Int)
        case restart
        case calm
        // The host. These die with the server.
        case grew(topic: Int, partition: Int)
        case fetchAnswer(trigger: Int, partition: Int, from: Offset, maxRecords: Int)
        case fetchAnswerAgain(TriggerID, partition: Int, [RecordSummary], next: Offset)
        case abandon(RequestID)
        case ready(WorkerID)
        case startFails(WorkerID)
        case exit(WorkerID)
        case answer(StreamID, AttemptOutcome, Blame)
        case written(Delivery)
        case takeWrites
        case commit
    }

    struct Scheduled: Comparable {
        let due: Timestamp
        let order: Int
        let event: Event

        static func < (left: Scheduled, right: Scheduled) -> Bool { (left.due, left.order) < (right.due, right.order) }
        static func == (left: Scheduled, right: Scheduled) -> Bool { left.order == right.order }
    }

    /// Steps after which a run counts as one that never ends.
    private static let stepsMax = 200_000
    /// How long after the last fault everything must be settled.
    private static let settleWithin = TimeSpan.seconds(120)
    private static let faultsLast = TimeSpan.seconds(8)

    let seed: UInt64
    let fault: LedgerFault
    var random: SeededGenerator
    var setup: SimulationSetup
    var rates: FaultRates
    var engine: Engine
    var now = Timestamp(microseconds: 1_000_000)
    var queue = BinaryHeap<Scheduled>()
    var scheduled = 0
    var report = SimulationReport()

    var log = SimulatedLog()
    var lanes: [LaneModel] = []
    var workers: [WorkerID: SimulatedWorker] = [:]
    var attempts: [UInt64: SimulatedAttempt] = [:]
    var requests: [RequestID: SimulatedRequest] = [:]
    var batches: [Int: Int] = [:]
    var batchSizes: [Int: Int] = [:]
    /// Attempts that the host refused in this step: the engine may have cancelled one before it heard.
    var refused: Set<UInt64> = []
    var nextBatch = 0
    var nextRequest: UInt64 = 0
    var pendingOutputs: [Delivery] = []
    var write: SimulatedWrite?
    var isTakeScheduled = false
    var isOutage = false
    var isLogShort = false
    /// Triggers whose outputs no write takes, and what waits for them.
    var withoutTopic: Set<Int> = []
    var refusedOutputs: [Int: [Delivery]] = [:]
    var isCalm = false
    var removed: Set<Int> = []
    /// The lanes of each function's tables.
    var tables: [[Int]] = []

    private let trace: ((String) -> Void)?

    private init(seed: UInt64, fault: LedgerFault, trace: ((String) -> Void)?) {
        self.trace = trace
        self.seed = seed
        self.fault = fault
        self.random = SeededGenerator(seed: seed)
        self.setup = SimulationSetup(&self.random)
        self.rates = FaultRates.random(&self.random)
        self.engine = Engine(configuration: self.setup.configuration, seed: seed, fault: fault)
    }

    /// Runs one seed.
    /// - Parameter trace: gets a line for everything that happens.
    /// - Throws: what the run found.
    package static func run(
        seed: UInt64, fault: LedgerFault = .none, trace: ((String) -> Void)? = nil
    ) throws(SimulationFailure) -> SimulationReport {
        let simulator = Simulator(seed: seed, fault: fault, trace: trace)
        trace?("\(simulator.setup)")
        try simulator.begin()
        try simulator.loop()
        try simulator.checkEnd()
        for trigger in simulator.setup.triggers {
            simulator.report.duplicates += Int(
                simulator.engine.status(of: trigger.plan.trigger)?.counters.duplicates ?? 0)
        }
        return simulator.report
    }

    // MARK: the loop

    private func begin() throws(SimulationFailure) {
        for topic in self.setup.topics {
            self.log.topics.append(Array(repeating: SimulatedPartition(), count: topic.partitions))
        }
        for (index, trigger) in self.setup.triggers.enumerated() {
            for partition in 0..<self.setup.topics[trigger.topic].partitions {
                self.lanes.append(LaneModel(trigger: index, topic: trigger.topic, partition: partition))
            }
        }
        self.tables = self.setup.plans.indices.map { function in
            self.lanes.indices.filter {
                let trigger = self.setup.triggers[self.lanes[$0].trigger]
                return trigger.function == function && trigger.plan.kind == .table
            }
        }
        self.scheduleWorld()
        self.deployAll()
        try self.perform()
    }

    /// The whole of the world's part of the run, made up at the start.
    private func scheduleWorld() {
        let length = Int(Self.faultsLast.milliseconds)
        for _ in 0..<self.random.pick(20...150) {
            self.schedule(.publish(topic: self.random.pick(0...self.setup.topics.count - 1)), within: length)
        }
        for _ in 0..<self.random.pick(0...20) {
            self.schedule(.invoke(function: self.random.pick(0...self.setup.plans.count - 1)), within: length)
        }
        for topic in self.setup.topics.indices where self.setup.topics[topic].isQueue {
            for _ in 0..<self.random.pick(0...15) { self.schedule(.cancel(topic: topic), within: length) }
        }
        for _ in 0..<self.random.pick(0...2) { self.schedule(.retain, within: length) }
        for _ in 0..<self.random.pick(0...3) { self.schedule(.restart, within: length) }
        for _ in 0..<self.random.pick(0...3) {
            self.schedule(.redeploy(function: self.random.pick(0...self.setup.plans.count - 1)), within: length)
        }
        if self.random.chance(0.1) {
            self.schedule(.remove(function: self.random.pick(0...self.setup.plans.count - 1)), within: length)
        }
        for _ in 0..<self.random.pick(0...2) { self.scheduleSpan({ .outage($0) }, within: length) }
        for _ in 0..<self.random.pick(0...1) { self.scheduleSpan({ .logShort($0) }, within: length) }
        for _ in 0..<self.random.pick(0...2) {
            let trigger = self.random.pick(0...self.setup.triggers.count - 1)
            self.scheduleSpan({ .topicGone(trigger: trigger, $0) }, within: length)
        }
        for _ in 0..<self.random.pick(0...2) {
            let function = self.random.pick(0...self.setup.plans.count - 1)
            self.scheduleSpan({ .pause(function: function, $0) }, within: length)
        }
        self.schedule(.calm, after: Self.faultsLast)
    }

    private func scheduleSpan(_ event: (Bool) -> Event, within length: Int) {
        let start = self.random.pick(0...length)
        self.schedule(event(true), after: .milliseconds(Int64(start)))
        self.schedule(event(false), after: .milliseconds(Int64(start + self.random.pick(50...1_500))))
    }

    private func schedule(_ event: Event, within length: Int) {
        self.schedule(event, after: self.random.span(milliseconds: 0...length))
    }

    func schedule(_ event: Event, after span: TimeSpan) {
        self.scheduled += 1
        self.queue.insert(Scheduled(due: self.now + span, order: self.scheduled, event: event))
    }

    private func loop() throws(SimulationFailure) {
        let end = self.now + Self.faultsLast + Self.settleWithin
        while true {
            let event = self.queue.first?.due
            guard let due = [event, self.engine.nextDue].compactMap({ $0 }).min(), due <= end else { return }
            self.report.steps += 1
            guard self.report.steps < Self.stepsMax else { throw self.failure("the run does not come to an end") }
            self.now = max(self.now, due)
            if let event, event <= self.now, let next = self.queue.popFirst() {
                self.trace?("\(self.now.microseconds) \(next.event)")
                try self.happen(next.event)
            } else {
                self.engine.advance(to: self.now)
                if let due = self.engine.nextDue, due <= self.now {
                    throw self.failure(
                        "the engine is due at \(due.microseconds) after it advanced to \(self.now.microseconds)")
                }
            }
            try self.perform()
        }
    }

    /// Performs the engine's actions until there are none.
    private func perform() throws(SimulationFailure) {
        var actions: [EngineAction] = []
        for _ in 0..<10_000 {
            self.engine.takeActions(into: &actions)
            if actions.isEmpty {
                self.refused = []
                return
            }
            for action in actions {
                self.trace?("\(self.now.microseconds)   -> \(action)")
                try self.perform(action)
            }
        }
        throw self.failure("the engine's actions cause each other without end")
    }

    func failure(_ message: String) -> SimulationFailure {
        SimulationFailure(
            seed: self.seed, step: self.report.steps, message: message,
            command: "apus-bench simulate --of engine --seed \(self.seed)")
    }
}

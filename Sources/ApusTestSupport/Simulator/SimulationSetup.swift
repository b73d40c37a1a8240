internal import ApusCore
internal import ApusEngine

/// Chance with the words the simulator needs.
extension SeededGenerator {
    mutating func chance(_ probability: Double) -> Bool { Double.random(in: 0..<1, using: &self) < probability }
    mutating func pick(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }
    mutating func pick<Element>(_ elements: [Element]) -> Element { elements[self.pick(0...elements.count - 1)] }
    mutating func span(milliseconds range: ClosedRange<Int>) -> TimeSpan {
        .microseconds(Int64(self.pick(range.lowerBound * 1_000...range.upperBound * 1_000)))
    }
}

/// How often things go wrong in one run.
struct FaultRates {
    var fail = 0.0
    var reject = 0.0
    var crash = 0.0
    var hang = 0.0
    var late = 0.0
    var twice = 0.0
    var startFails = 0.0
    var startHangs = 0.0
    var fetchFails = 0.0
    var fetchTwice = 0.0
    var tableFails = 0.0
    var stopHangs = 0.0
    /// A batch fails as a whole.
    var batchFails = 0.0
    /// A worker is gone before anything of an attempt was written to it.
    var unsent = 0.0

    static let none = FaultRates()

    /// Each run has its own mixture: some faults often, others never.
    static func random(_ random: inout SeededGenerator) -> FaultRates {
        var rates = FaultRates()
        rates.fail = random.pick([0, 0.1, 0.4])
        rates.reject = random.pick([0, 0.05])
        rates.crash = random.pick([0, 0.03, 0.1])
        rates.hang = random.pick([0, 0.02, 0.1])
        rates.late = random.pick([0, 0.05])
        rates.twice = random.pick([0, 0.1])
        rates.startFails = random.pick([0, 0.1, 0.5])
        rates.startHangs = random.pick([0, 0.1])
        rates.fetchFails = random.pick([0, 0.1])
        rates.fetchTwice = random.pick([0, 0.2])
        rates.tableFails = random.pick([0, 0.02])
        rates.stopHangs = random.pick([0, 0.2])
        rates.batchFails = random.pick([0, 0.1, 0.3])
        rates.unsent = random.pick([0, 0, 0.05])
        return rates
    }
}

/// What is deployed in one run, all from the seed.
struct SimulationSetup {
    struct Topic {
        var partitions: Int
        var isCompacted: Bool
        /// A function's accepted invocations: retention takes none of them.
        var isQueue = false
    }

    struct Trigger {
        var plan: TriggerPlan
        var topic: Int
        var function: Int
        /// Records whose kind it divides do not match; 0 matches all.
        var filter: Int
        /// The place of its first partition among all lanes.
        var firstLane: Int
    }

    var topics: [Topic] = []
    var plans: [FunctionPlan] = []
    var triggers: [Trigger] = []
    var configuration = EngineConfiguration()
    var lanes = 0

    init(_ random: inout SeededGenerator) {
        self.configuration.unsettledPerPartition = random.pick([1, 2, 8, 32])
        self.configuration.waitingRequestsPerFunction = random.pick(1...8)
        self.configuration.cancelGrace = .milliseconds(200)
        self.configuration.startTimeout = .seconds(1)
        self.configuration.stopGrace = .milliseconds(500)
        self.configuration.startBackoff = .milliseconds(50)
        self.configuration.startBackoffMax = .seconds(1)
        self.configuration.tableWindow = random.pick(1...8)
        for _ in 0..<random.pick(1...3) {
            self.topics.append(Topic(partitions: random.pick(1...3), isCompacted: random.chance(0.3)))
        }
        let shared = self.topics.count
        for function in 0..<random.pick(1...3) {
            self.addFunction(function, topics: shared, &random)
            if random.chance(0.6) { self.addQueue(function, &random) }
        }
    }

    /// Asynchronous invocations of a function: each ends in a state, whatever happens.
    private mutating func addQueue(_ function: Int, _ random: inout SeededGenerator) {
        var trigger = TriggerPlan(
            trigger: TriggerID(rawValue: UInt32(100 + self.triggers.count)), order: .none, hasOutputs: true)
        trigger.retry = Self.retry(&random)
        self.plans[function].triggers.append(trigger)
        self.triggers.append(
            Trigger(plan: trigger, topic: self.topics.count, function: function, filter: 0, firstLane: self.lanes))
        self.topics.append(Topic(partitions: 1, isCompacted: false, isQueue: true))
        self.lanes += 1
    }

    private mutating func addFunction(_ function: Int, topics: Int, _ random: inout SeededGenerator) {
        var plan = FunctionPlan(function: FunctionID(rawValue: UInt32(function + 1)), generation: 1)
        Self.vary(&plan, &random)
        for _ in 0..<random.pick(1...2) {
            let id = TriggerID(rawValue: UInt32(100 + self.triggers.count))
            var trigger = TriggerPlan(trigger: id, order: random.pick([.key, .key, .partition, .none]))
            trigger.retry = Self.retry(&random)
            trigger.onExhausted = random.pick([.deadLetter, .deadLetter, .block, .drop])
            trigger.hasOutputs = random.chance(0.5)
            let topic = random.pick(0...topics - 1)
            if random.chance(0.3), !self.topics[topic].isCompacted {
                trigger.dedupWindow = random.span(milliseconds: 100...3_000)
            }
            if random.chance(0.2), self.topics[topic].isCompacted, plan.reuse == .function { trigger.kind = .table }
            plan.triggers.append(trigger)
            let filter = random.chance(0.3) ? random.pick(2...3) : 0
            self.triggers.append(
                Trigger(
                    plan: trigger, topic: topic, function: function, filter: trigger.kind == .table ? 0 : filter,
                    firstLane: self.lanes)
            )
            self.lanes += self.topics[topic].partitions
        }
        self.plans.append(plan)
    }

    private static func retry(_ random: inout SeededGenerator) -> RetryPlan {
        RetryPlan(
            attempts: random.pick([0, 1, 2, 3, 5]), initial: random.span(milliseconds: 1...100),
            max: random.span(milliseconds: 100...1_000)
        )
    }

    /// What a redeploy may change.
    static func vary(_ plan: inout FunctionPlan, _ random: inout SeededGenerator) {
        plan.timeout = random.span(milliseconds: 300...1_500)
        plan.concurrency = random.pick(1...4)
        plan.batch = nil
        if random.chance(0.3) {
            plan.batch = BatchPlan(
                maxSize: random.pick(1...5), maxWait: random.span(milliseconds: 0...20),
                maxBytes: random.pick(200...900))
        }
        let max = random.pick(1...3)
        plan.reuse = .function
        if random.chance(0.25), !plan.triggers.contains(where: { $0.kind == .table }) {
            plan.reuse = .never
            plan.concurrency = 1
            plan.batch = nil
        }
        plan.scale = ScalePlan(min: random.chance(0.2) ? 1 : 0, max: max, idle: random.span(milliseconds: 200...2_000))
        for index in plan.triggers.indices { plan.triggers[index].retry = Self.retry(&random) }
    }

    func matches(_ record: SimulatedRecord, _ trigger: Int) -> Bool {
        let filter = self.triggers[trigger].filter
        return filter == 0 || record.kind % filter != 0
    }
}

internal import ApusCore
internal import ApusEngine
internal import ApusLog

/// The bounds of nodes and of their Kafka.
enum ClusterTimes {
    /// Without a heartbeat for so long a node has lost its shares.
    static let session = TimeSpan.milliseconds(Int64(Limits.Kafka.sessionMilliseconds))
    static let heartbeat = TimeSpan.milliseconds(Int64(Limits.Kafka.heartbeatMilliseconds))
    /// A node that does not give a share back for so long is put out.
    static let rebalance = TimeSpan.milliseconds(Int64(Limits.Kafka.groupPollMilliseconds))
    static let transaction = TimeSpan.milliseconds(Int64(Limits.Kafka.transactionMilliseconds))
    /// Outputs outside of transactions are handed over only while the share's last commit is so young, and wait no longer for
    /// their broker.
    static let proof = TimeSpan(microseconds: Self.session.microseconds / 2)
    /// How long after a take-over an output of the owner before may come at the latest: what it had handed over when it let go waits
    /// no longer for its broker, and one that was put out had no proof that was younger.
    static let late = TimeSpan(microseconds: Self.proof.microseconds + Self.heartbeat.microseconds)
    /// What may have been handed over and not be settled when a node dies in peace.
    static let unsettled = TimeSpan.milliseconds(250)
}

/// What is deployed in one run, all from the seed.
struct ClusterSetup {
    struct Trigger {
        var plan: TriggerPlan
        var topic: Int
        var function: Int
        /// Records whose kind it divides do not match; 0 matches all.
        var filter: Int
        var isExactlyOnce: Bool
        var firstLane: Int
    }

    struct Faults {
        var fail = 0.0
        var reject = 0.0
        var crash = 0.0
        var hang = 0.0
        var unknown = 0.0
        var fetchFails = 0.0
    }

    var nodes: Int
    var shares: Int
    /// Partitions by topic.
    var topics: [Int] = []
    var plans: [FunctionPlan] = []
    var triggers: [Trigger] = []
    var configuration = EngineConfiguration()
    var faults = Faults()
    var lanes = 0

    init(_ random: inout SeededGenerator) {
        self.nodes = random.pick(2...3)
        self.shares = random.pick(2...4)
        self.configuration.unsettledPerPartition = random.pick([2, 8, 32])
        self.configuration.cancelGrace = .milliseconds(100)
        self.configuration.startTimeout = .seconds(1)
        self.configuration.stopGrace = .milliseconds(300)
        self.configuration.startBackoff = .milliseconds(50)
        self.configuration.startBackoffMax = .milliseconds(500)
        for _ in 0..<random.pick(1...2) { self.topics.append(random.pick(1...4)) }
        for function in 0..<random.pick(1...2) { self.addFunction(function, &random) }
        self.faults.fail = random.pick([0, 0.1, 0.3])
        self.faults.reject = random.pick([0, 0.05])
        self.faults.crash = random.pick([0, 0.05])
        self.faults.hang = random.pick([0, 0.03])
        self.faults.unknown = random.pick([0, 0, 0.1])
        self.faults.fetchFails = random.pick([0, 0.1])
    }

    private mutating func addFunction(_ function: Int, _ random: inout SeededGenerator) {
        var plan = FunctionPlan(function: FunctionID(rawValue: UInt32(function + 1)), generation: 1)
        plan.timeout = random.span(milliseconds: 200...800)
        plan.concurrency = random.pick(1...3)
        plan.scale = ScalePlan(min: 0, max: random.pick(1...3), idle: random.span(milliseconds: 200...2_000))
        if random.chance(0.2) { plan.batch = BatchPlan(maxSize: random.pick(2...4), maxWait: .milliseconds(5)) }
        for _ in 0..<random.pick(1...2) {
            var trigger = TriggerPlan(
                trigger: TriggerID(rawValue: UInt32(100 + self.triggers.count)),
                order: random.pick([.key, .key, .partition, .none]))
            trigger.retry = RetryPlan(
                attempts: random.pick([0, 2, 3]), initial: random.span(milliseconds: 10...200),
                max: random.span(milliseconds: 1_000...8_000))
            trigger.onExhausted = random.pick([.deadLetter, .deadLetter, .block, .drop])
            trigger.hasOutputs = true
            plan.triggers.append(trigger)
            let topic = random.pick(0...self.topics.count - 1)
            self.triggers.append(
                Trigger(
                    plan: trigger, topic: topic, function: function, filter: random.chance(0.3) ? 3 : 0,
                    isExactlyOnce: random.chance(0.5), firstLane: self.lanes))
            self.lanes += self.topics[topic]
        }
        self.plans.append(plan)
    }

    func matches(_ record: SimulatedRecord, _ trigger: Int) -> Bool {
        let filter = self.triggers[trigger].filter
        return filter == 0 || record.kind % filter != 0
    }

    /// The share of a topic's partition.
    func share(_ topic: Int, _ partition: Int) -> Int { (topic * 7 + partition) % self.shares }
}

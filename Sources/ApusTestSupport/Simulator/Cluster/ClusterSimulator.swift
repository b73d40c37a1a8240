internal import ApusCore
internal import ApusEngine

/// Several nodes on one simulated Kafka: each runs the real engine and the real machine of its shares; brokers, coordinator, network
/// and workers are made up from a seed, with virtual time. Checks after every step what must always hold of what is on the log.
package final class ClusterSimulator {
    enum Event {
        // The world.
        case publish(topic: Int)
        case kill(Int)
        case start(Int)
        case stop(Int)
        case pause(Int, Bool)
        case outage(Bool)
        case lettersOutage(Bool)
        case commitsFail(Bool)
        case calm
        case coordinate
        // What reaches the brokers and their coordinator.
        case arrives(ClusterRequest)
        case heartbeat(node: Int, life: Int)
        case released(node: Int, life: Int, share: Int)
        case left(node: Int, life: Int)
        // What reaches a node. It dies with the node and waits while the node is stopped.
        case hears(ClusterRequest, ClusterAnswer)
        case told(node: Int, life: Int, GroupMessage)
        case node(Int, life: Int, NodeEvent)
    }

    enum NodeEvent {
        case beat
        case tick(share: Int)
        case grew(topic: Int, partition: Int)
        case fetchAnswer(lane: Int, from: Offset, maxRecords: Int)
        case ready(WorkerID)
        case exit(WorkerID)
        case answer(StreamID, AttemptOutcome)
        case takeWrites(share: Int)
        case tryWrite(share: Int)
        case resend(share: Int)
        case flush(share: Int)
    }

    struct Scheduled: Comparable {
        let due: Timestamp
        let order: Int
        let event: Event

        static func < (left: Scheduled, right: Scheduled) -> Bool { (left.due, left.order) < (right.due, right.order) }
        static func == (left: Scheduled, right: Scheduled) -> Bool { left.order == right.order }
    }

    private static let stepsMax = 300_000
    static let faultsLast = TimeSpan.seconds(60)
    private static let settleWithin = TimeSpan.seconds(240)

    let seed: UInt64
    let fault: ClusterFault
    var random: SeededGenerator
    let setup: ClusterSetup
    var faults: ClusterSetup.Faults
    var now = Timestamp(microseconds: 1_000_000)
    var queue = BinaryHeap<Scheduled>()
    var scheduled = 0
    var report = ClusterReport()

    var topics: [[SimulatedPartition]] = []
    var lanes: [ClusterLane] = []
    var logs: [SimulatedShareLog]
    var group: SimulatedGroup
    var nodes: [ClusterNode] = []
    var isOutage = false
    var areLettersDown = false
    var doCommitsFail = false
    var isCalm = false
    /// When something last went wrong that keeps transactions from their end.
    var troubledAt = Timestamp.zero
    private let trace: ((String) -> Void)?

    private init(seed: UInt64, fault: ClusterFault, trace: ((String) -> Void)?) {
        self.seed = seed
        self.fault = fault
        self.trace = trace
        self.random = SeededGenerator(seed: seed &* 0x9E37_79B9 &+ 17)
        self.setup = ClusterSetup(&self.random)
        self.faults = self.setup.faults
        self.logs = Array(repeating: SimulatedShareLog(), count: self.setup.shares)
        self.group = SimulatedGroup(holders: Array(repeating: nil, count: self.setup.shares))
    }

    /// Runs one seed.
    /// - Parameter trace: gets a line for everything that happens.
    /// - Throws: what the run found.
    package static func run(
        seed: UInt64, fault: ClusterFault = .none, trace: ((String) -> Void)? = nil
    ) throws(SimulationFailure) -> ClusterReport {
        let simulator = ClusterSimulator(seed: seed, fault: fault, trace: trace)
        trace?("\(simulator.setup)")
        simulator.begin()
        try simulator.loop()
        try simulator.checkEnd()
        return simulator.report
    }

    // MARK: the loop

    private func begin() {
        for partitions in self.setup.topics {
            self.topics.append(Array(repeating: SimulatedPartition(), count: partitions))
        }
        for (index, trigger) in self.setup.triggers.enumerated() {
            for partition in 0..<self.setup.topics[trigger.topic] {
                self.lanes.append(
                    ClusterLane(
                        trigger: index, topic: trigger.topic, partition: partition,
                        share: self.setup.share(trigger.topic, partition)))
            }
        }
        for node in 0..<self.setup.nodes {
            self.nodes.append(
                ClusterNode(
                    engine: Engine(configuration: self.setup.configuration, seed: self.seed),
                    shares: Array(repeating: ClusterShare(), count: self.setup.shares)))
            self.schedule(.start(node), after: self.random.span(milliseconds: 0...3_000))
        }
        self.scheduleWorld()
        self.schedule(.coordinate, after: .zero)
    }

    private func loop() throws(SimulationFailure) {
        let end = self.now + Self.faultsLast + Self.settleWithin
        while true {
            let event = self.queue.first?.due
            let engines = self.nodes.lazy.filter { $0.state == .running }.compactMap { $0.engine.nextDue }.min()
            guard let due = [event, engines].compactMap({ $0 }).min(), due <= end else { return }
            if self.isCalm, self.isSettled { return }
            self.report.steps += 1
            guard self.report.steps < Self.stepsMax else { throw self.failure("the run does not come to an end") }
            self.now = max(self.now, due)
            var happened: Event?
            if let event, event <= self.now, let next = self.queue.popFirst() {
                happened = next.event
                self.trace?("\(self.now.microseconds / 1_000) \(next.event)")
                try self.happen(next.event)
            }
            for node in self.nodes.indices where self.nodes[node].state == .running {
                if let due = self.nodes[node].engine.nextDue, due <= self.now {
                    self.nodes[node].engine.advance(to: self.now)
                }
                try self.perform(node)
                try self.lookAtDrains(node)
            }
            if case .hears = happened { try self.checkOwners() }
        }
    }

    func schedule(_ event: Event, after span: TimeSpan) {
        self.scheduled += 1
        self.queue.insert(Scheduled(due: self.now + span, order: self.scheduled, event: event))
    }

    func schedule(_ node: Int, _ event: NodeEvent, after span: TimeSpan) {
        self.schedule(.node(node, life: self.nodes[node].life, event), after: span)
    }

    func note(_ text: @autoclosure () -> String) { self.trace?("\(self.now.microseconds / 1_000)   \(text())") }

    func failure(_ message: String) -> SimulationFailure {
        SimulationFailure(
            seed: self.seed, step: self.report.steps, message: message,
            command: "apus-bench simulate --of nodes --seed \(self.seed)")
    }
}

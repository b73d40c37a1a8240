import ApusCore
import ApusLoop
import ApusManifest
import ApusStore
import ApusTelemetry
import ApusTestSupport
import Synchronization

@testable import ApusServer

/// Who decides commands, among nodes of one log in memory: moved by the test.
final class MemoryCluster: Sendable {
    private struct State {
        var term: UInt64 = 0
        var owner: Int?
        var nodes: [Int: @Sendable (CommandOwnershipChange) -> Void] = [:]
        /// What the next submission meets.
        var fault: Fault?
        /// Submissions that wait for ``MemoryCluster/release(_:)``; nil where none does.
        var held: [@Sendable () -> Void]?
        var mostHeld = 0
    }

    enum Fault {
        /// Nothing is written, and the log says so.
        case refuses
        /// Written, and the owner is gone before it hears of it.
        case losesTheOwner
    }

    let log: any EventLog
    private let state = Mutex(State())

    init(_ log: any EventLog) { self.log = log }

    func join(_ node: Int, _ changed: @escaping @Sendable (CommandOwnershipChange) -> Void) {
        self.state.withLock { $0.nodes[node] = changed }
    }

    /// From now on submissions wait.
    func holdSubmissions() { self.state.withLock { $0.held = [] } }
    var held: Int { self.state.withLock { $0.held?.count ?? 0 } }
    /// How many have waited at one time.
    var mostHeld: Int { self.state.withLock { $0.mostHeld } }

    /// Lets so many go that wait for longest; nil for all of them, and those to come.
    func release(_ count: Int?) {
        let released = self.state.withLock { state -> [@Sendable () -> Void] in
            let all = state.held ?? []
            guard let count else {
                state.held = nil
                return all
            }
            state.held = Array(all.dropFirst(count))
            return Array(all.prefix(count))
        }
        for submit in released { submit() }
    }

    private func hold(_ submit: @escaping @Sendable () -> Void) -> Bool {
        self.state.withLock { state in
            guard state.held != nil else { return false }
            state.held?.append(submit)
            state.mostHeld = max(state.mostHeld, state.held?.count ?? 0)
            return true
        }
    }

    func fail(_ fault: Fault) { self.state.withLock { $0.fault = fault } }

    /// - Parameter isTold: whether the former owner hears that it is none any more.
    func move(to node: Int?, isTold: Bool = true, partitions: Range<Int> = 0..<1) {
        let (lost, gained, term) = self.state.withLock { state in
            let lost = state.owner.flatMap { state.nodes[$0] }
            let old = state.term
            state.owner = node
            state.term += 1
            return ((lost, old), node.flatMap { state.nodes[$0] }, state.term)
        }
        for partition in partitions {
            if isTold { lost.0?(.lost(OwnedCommands(partition: partition, term: lost.1))) }
            gained?(.gained(OwnedCommands(partition: partition, term: term)))
        }
    }

    func submit(
        _ batch: LogBatch, as owned: OwnedCommands,
        _ completion: @escaping @Sendable (Result<LogReceipt, ApusError>) -> Void
    ) {
        let (isOwner, fault) = self.state.withLock { state in
            defer { state.fault = nil }
            return (state.term == owned.term, state.fault)
        }
        guard isOwner else { return completion(.failure(ApusError(.conflict, "fenced"))) }
        switch fault {
        case nil:
            if !self.hold({ self.log.submit(batch, completion) }) { self.log.submit(batch, completion) }
        case .refuses: completion(.failure(ApusError(.logFailed, "the test lets no write through")))
        case .losesTheOwner:
            self.log.submit(batch) { _ in }
            self.state.withLock { $0.term += 1 }
            completion(.failure(ApusError(.conflict, "fenced")))
        }
    }
}

final class MemoryOwnership: CommandOwnership {
    private let cluster: MemoryCluster
    private let node: Int

    init(_ cluster: MemoryCluster, node: Int) {
        self.cluster = cluster
        self.node = node
    }

    func start(_ changed: @escaping @Sendable (CommandOwnershipChange) -> Void) {
        self.cluster.join(self.node, changed)
    }
    func submit(
        _ batch: LogBatch, as owned: OwnedCommands,
        _ completion: @escaping @Sendable (Result<LogReceipt, ApusError>) -> Void
    ) { self.cluster.submit(batch, as: owned, completion) }
    func end(of partition: TopicPartition) throws(ApusError) -> Offset {
        try self.cluster.log.bounds(of: partition).end
    }
    func stop() {}
}

/// A node's catalogue and its way of control writes, on a log that others write to as well.
final class SharedNode: Sendable {
    let control: Control
    let log: any EventLog
    private let loop = EventLoop()
    // SAFETY: touched on `loop` only.
    nonisolated(unsafe) private var timer: LoopTimer?
    let changes = Mutex<[Catalogue.Change]>([])

    convenience init(
        _ cluster: MemoryCluster, node: Int, seal: RecordSeal? = nil, deadline: TimeSpan = .seconds(20)
    ) throws {
        try self.init(cluster.log, MemoryOwnership(cluster, node: node), seal: seal, deadline: deadline)
    }

    /// - Parameter prepare: runs before the node takes part in deciding.
    init(
        _ log: any EventLog, _ ownership: any CommandOwnership, seal: RecordSeal? = nil,
        deadline: TimeSpan = .seconds(20), prepare: (Control, any EventLog) -> Void = { _, _ in }
    ) throws {
        var (log, ownership) = (log, ownership)
        if let seal {
            let sealed = SealedLog(log, seal)
            ownership = SealedOwnership(ownership, sealed)
            log = sealed
        }
        self.log = log
        let changes = WeakNode()
        self.control = Control(
            log: log, journal: Log(level: .error), ownership: ownership, commandDeadline: deadline,
            fateOf: { _, _ in nil }
        ) { new, _ in
            changes.node.withLock { $0?.changes.withLock { $0 += new } }
            return nil
        }
        changes.node.withLock { $0 = self }
        if let sealed = log as? SealedLog {
            sealed.whenIgnored { [weak control] place, key in
                if place.partition.topic == .control { control?.distrust(key) }
            }
        }
        try self.control.replay()
        prepare(self.control, log)
        try self.control.share()
        self.loop.runAndWait {
            let timer = LoopTimer(self.loop) { [unowned self] in self.control.tick() }
            timer.start(milliseconds: 10, repeating: 10)
            self.timer = timer
        }
    }

    private final class WeakNode: Sendable {
        let node = Mutex<SharedNode?>(nil)
    }

    func stop() {
        self.loop.runAndWait {
            self.timer?.close()
            self.timer = nil
        }
        self.loop.stop()
        self.control.stop()
    }

    func deploy(_ yaml: String, bundle: Character = "a", ifMatch: UInt64? = nil) throws -> Control.Done {
        let documents = try Manifest.parse(yaml, file: "test.yaml").map { manifest in
            guard case .function = manifest else { return DeployDocument(manifest: manifest) }
            return DeployDocument(manifest: manifest, bundle: String(repeating: bundle, count: 64))
        }
        return try self.control.perform(.deploy(documents, ifMatch: ifMatch, isDryRun: false)).get()
    }
}

extension MemoryCluster {
    /// A log with the topics that a server makes.
    static func make() throws -> MemoryCluster {
        let clock = SystemClock()
        let log = MemoryLog { clock.now }
        // As on Kafka, where older records of a key stay for a while.
        try log.createTopic(.control, TopicConfiguration(partitions: 1))
        try log.createTopic(.schedule, TopicConfiguration(partitions: 1))
        for topic in [TopicName.commands, .answers] {
            try log.createTopic(
                topic,
                TopicConfiguration(
                    partitions: Limits.ControlCommands.partitions, retentionTime: Limits.ControlCommands.kept))
        }
        return MemoryCluster(log)
    }
}

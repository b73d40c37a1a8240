import ApusCore
import ApusEngine
import ApusTestSupport
import Testing

@testable import ApusHost

/// A function that goes from class to class and back, by seed: nodes hear of it at different times, read, settle, let go, take, die and begin
/// anew, each in the middle of what another does. The nodes decide by the real reading of lanes and the real marks; brokers that refuse
/// producers of an older epoch are made up.
@Suite struct ClassMoveSimulationTests {
    @Test(arguments: 0..<8) func everySeedOfAMoveKeepsEveryPromise(_ part: UInt64) throws {
        var (moves, takes) = (0, 0)
        for seed in part * 500..<(part + 1) * 500 {
            let world = MoveWorld(seed: seed, fault: .none)
            try world.run()
            moves += world.handOvers
            takes += world.takes
        }
        #expect(moves > 0 && takes > 0, "both ways to go over happen")
    }

    /// Deliberately broken nodes: a simulation that passes them would prove nothing.
    @Test(arguments: MoveWorld.Fault.allCases.filter { $0 != .none })
    func aBrokenMoveIsCaught(_ fault: MoveWorld.Fault) {
        for seed in 0..<2_000 as Range<UInt64> {
            do { try MoveWorld(seed: seed, fault: fault).run() } catch {
                print("\(fault): caught by seed \(seed): \(error)")
                return
            }
        }
        Issue.record("\(fault) passed 2000 seeds")
    }
}

/// One partition of one trigger, a share of each of two classes with the same number, and a node for each.
final class MoveWorld: @unchecked Sendable {
    // SAFETY: a run is one thread's.

    enum Fault: CaseIterable, Sendable {
        case none
        /// Takes a lane and lets the former owner's producer live.
        case takesWithoutFencing
        /// Opens what it took with what it knew before.
        case takesWithoutReading
        /// Opens whatever the mark says.
        case ignoresTheMark
        /// Goes on after it handed over.
        case keepsWhatItHandedOver
    }

    struct Broken: Error, CustomStringConvertible {
        let seed: UInt64
        let message: String
        var description: String { "seed \(self.seed): \(self.message)" }
    }

    struct Node {
        let workClass: WorkClass
        /// Of the deploys, how many it has heard of.
        var heard = 1
        /// Of its producer; nil while its share is to be begun anew.
        var epoch: Int?
        /// The ledger as it read it last, and of how many writes that was.
        var mirror: [[UInt8]: [UInt8]] = [:]
        var mirrored = 0
        /// The open lane: what it has settled, and how many writes it knows of.
        var lane: (settled: Offset, known: Int)?
        /// In the middle of something: it does one thing at a time.
        var isBusy = false
    }

    private static let prefix = Array("default/function-1/trigger-1/1/".utf8)
    private static let positionKey = LedgerKey.key(prefix: prefix, partition: 0)
    private static let markKey = ClassMark.key(prefix: prefix, partition: 0)

    let seed: UInt64
    let fault: Fault
    private var random: ApusEngine.SeededGenerator
    private(set) var nodes = [Node(workClass: .cpu), Node(workClass: .gpu)]
    /// Generations and the class that each gave the function.
    private var deploys: [(generation: UInt64, workClass: WorkClass)] = [(1, .cpu)]
    /// What is on the log, and how many writes of the lane that took.
    private var ledger: [[UInt8]: [UInt8]] = [:]
    private var writes = 0
    private var epochs: [WorkClass: Int] = [.cpu: 0, .gpu: 0]
    private var depth = 0
    private var isCalm = false
    private var broken: Broken?
    private(set) var handOvers = 0
    private(set) var takes = 0
    private var settled: Offset = 0

    init(seed: UInt64, fault: Fault) {
        self.seed = seed
        self.fault = fault
        self.random = ApusEngine.SeededGenerator(seed: seed &* 0x9E37_79B9 &+ 5)
    }

    /// - Throws: what the run found.
    func run() throws {
        for _ in 0..<300 {
            try self.step(Int.random(in: 0...1, using: &self.random), mayFail: true)
        }
        // Nothing fails any more, and all hear all: whoever has the class works.
        self.isCalm = true
        for node in self.nodes.indices { self.nodes[node].heard = self.deploys.count }
        let before = self.settled
        for round in 0..<100 { try self.step(round % 2, mayFail: false) }
        guard self.settled >= before + 3 else { throw self.failure("nobody goes on with it") }
        let owner = try #require(self.nodes.firstIndex { $0.workClass == self.deploys[self.deploys.count - 1].workClass })
        guard self.nodes[owner].lane != nil, self.nodes[1 - owner].lane == nil else { throw self.failure("a wrong node has it") }
    }

    private func failure(_ message: String) -> Broken { Broken(seed: self.seed, message: message) }
    private func chance(_ share: Double) -> Bool { Double.random(in: 0..<1, using: &self.random) < share }

    // MARK: what happens

    private func step(_ node: Int, mayFail: Bool) throws {
        guard !self.nodes[node].isBusy else { return }
        self.nodes[node].isBusy = true
        defer { self.nodes[node].isBusy = false }
        if mayFail, self.chance(0.03) {
            let newest = self.deploys[self.deploys.count - 1]
            self.deploys.append((newest.generation + 1, newest.workClass == .cpu ? .gpu : .cpu))
        }
        if mayFail, self.chance(0.02) {
            // Dead, and there again: it follows what is deployed to its end before it does anything.
            self.nodes[node].lane = nil
            self.nodes[node].epoch = nil
            self.nodes[node].heard = self.deploys.count
        }
        if self.nodes[node].heard < self.deploys.count, self.chance(0.1) {
            // Of several that come together the newest counts.
            self.nodes[node].heard = self.chance(0.3) ? self.deploys.count : self.nodes[node].heard + 1
        }
        if self.nodes[node].epoch == nil { self.begin(node) }
        let deploy = self.deploys[self.nodes[node].heard - 1]
        if self.nodes[node].lane == nil {
            if deploy.workClass == self.nodes[node].workClass, self.chance(0.5) {
                try self.open(node, mayTake: !mayFail || self.chance(0.3))
            }
        } else if deploy.workClass != self.nodes[node].workClass, self.chance(mayFail ? 0.3 : 1) {
            self.handOver(node, deploy)
        } else {
            self.settle(node)
        }
        if let broken = self.broken { throw broken }
    }

    /// Somebody else does something in the middle of it.
    private func interrupt(_ node: Int) {
        guard !self.isCalm, self.depth < 3, self.chance(0.4) else { return }
        self.depth += 1
        defer { self.depth -= 1 }
        for _ in 0..<Int.random(in: 1...6, using: &self.random) {
            do { try self.step(1 - node, mayFail: true) } catch let found as Broken { self.broken = found } catch {
                self.broken = self.failure("\(error)")
            }
        }
    }

    /// A new producer fences the one before, then the ledger is read to its end.
    private func begin(_ node: Int) {
        let workClass = self.nodes[node].workClass
        self.epochs[workClass, default: 0] += 1
        self.nodes[node].epoch = self.epochs[workClass]
        self.read(node)
    }

    private func read(_ node: Int) {
        self.nodes[node].mirror = self.ledger
        self.nodes[node].mirrored = self.writes
    }

    // MARK: a node's lane

    private func place(_ node: Int, mayTake: Bool) throws -> LaneReading.Place {
        let deploy = self.deploys[self.nodes[node].heard - 1]
        let topic = try #require(TopicName(onLog: "in"))
        let (host, plan) = trigger(1, on: topic)
        var function = function(1, generation: deploy.generation, triggers: [(host, plan)])
        function.workClass = deploy.workClass
        if deploy.generation > 1 { function.move = ClassMove(first: .cpu, since: deploy.generation) }
        let state = TriggerState(host, of: function, plan: plan, isCompacted: false, logIdentity: 1)
        var place = LaneReading.Place(state, 0)
        place.mayTake = mayTake
        return place
    }

    private func open(_ node: Int, mayTake: Bool) throws {
        let place = try self.place(node, mayTake: mayTake)
        let term = ShareTerm(Share(self.nodes[node].workClass, 0), term: 1)
        let reading = LaneReading(log: NodeLog(self, node), places: [place], term: term)
        let epoch = self.nodes[node].epoch
        let found: [(key: [UInt8], value: [UInt8])]?
        do throws(ApusError) { found = try reading.entries(of: place) } catch { return }
        // Its share was begun anew meanwhile: what was read is for nobody.
        guard self.nodes[node].epoch == epoch, self.nodes[node].lane == nil else { return }
        guard let entries = found ?? (self.fault == .ignoresTheMark ? self.entries(of: node) : nil) else { return }
        let position = entries.first { $0.key == Self.positionKey }
        let watermark = try position.map { try LedgerKey.decode($0.value).watermark } ?? 0
        self.nodes[node].lane = (watermark, self.nodes[node].mirrored)
    }

    private func settle(_ node: Int) {
        guard let lane = self.nodes[node].lane else { return }
        self.write(node, [Self.positionKey: LedgerState(watermark: lane.settled + 1).encode()])
    }

    private func handOver(_ node: Int, _ deploy: (generation: UInt64, workClass: WorkClass)) {
        let mark = ClassMark(since: deploy.generation, workClass: deploy.workClass)
        guard self.write(node, [Self.markKey: mark.encoded]) else { return }
        self.handOvers += 1
        if self.fault != .keepsWhatItHandedOver { self.nodes[node].lane = nil }
    }

    /// One transaction of a share. Refused to whoever was fenced, who begins anew then.
    @discardableResult private func write(_ node: Int, _ entries: [[UInt8]: [UInt8]]) -> Bool {
        self.interrupt(node)
        guard let lane = self.nodes[node].lane else { return false }
        guard self.nodes[node].epoch == self.epochs[self.nodes[node].workClass] else {
            self.nodes[node].lane = nil
            self.nodes[node].epoch = nil
            return false
        }
        guard lane.known == self.writes else {
            self.broken = self.failure("node \(node) decides knowing \(lane.known) of \(self.writes) writes")
            return false
        }
        if entries[Self.positionKey] != nil {
            guard lane.settled == self.settled else {
                self.broken = self.failure("node \(node) settles \(lane.settled) where \(self.settled) are")
                return false
            }
            self.settled += 1
            self.nodes[node].lane?.settled += 1
        }
        self.ledger.merge(entries) { $1 }
        self.nodes[node].mirror.merge(entries) { $1 }
        self.writes += 1
        self.nodes[node].lane?.known = self.writes
        return true
    }

    // MARK: what the reading of lanes asks of the log

    fileprivate func entries(of node: Int) -> [(key: [UInt8], value: [UInt8])] {
        self.nodes[node].mirror.map { (key: $0.key, value: $0.value) }
    }

    fileprivate func readFormer(_ node: Int) {
        self.interrupt(node)
        self.read(node)
        self.interrupt(node)
    }

    fileprivate func take(_ node: Int, from former: WorkClass, _ entry: LogBatch.LedgerWrite) throws(ApusError) {
        self.interrupt(node)
        if self.fault != .takesWithoutFencing { self.epochs[former, default: 0] += 1 }
        let epoch = self.epochs[former]
        self.interrupt(node)
        // The former owner began anew in between, and fenced whoever takes.
        guard self.epochs[former] == epoch, let value = entry.value else { throw ApusError(.conflict, "fenced") }
        self.takes += 1
        self.ledger[entry.key] = value
        self.writes += 1
        self.interrupt(node)
        if self.fault == .takesWithoutReading { self.nodes[node].mirror[entry.key] = value } else { self.read(node) }
        self.interrupt(node)
    }
}

/// One node's view of the log.
private final class NodeLog: ForwardingLog {
    let forwarded: any EventLog = MemoryLog { .zero }
    private let world: MoveWorld
    private let node: Int
    private let view: View

    init(_ world: MoveWorld, _ node: Int) {
        self.world = world
        self.node = node
        self.view = View(world, node)
    }

    var sharing: (any WorkSharing)? { self.view }
    func ledger(prefix: [UInt8]) throws(ApusError) -> [(key: [UInt8], value: [UInt8])] { self.world.entries(of: self.node) }

    private final class View: WorkSharing {
        private let world: MoveWorld
        private let number: Int
        var node: String { "node-\(self.number)" }
        var classes: [WorkClass] { [self.world.nodes[self.number].workClass] }
        var shares: [ShareStatus] { [] }
        var nodes: [NodeShare] { [] }
        var terms: [WorkClass: UInt64] { [:] }

        init(_ world: MoveWorld, _ number: Int) {
            self.world = world
            self.number = number
        }

        func watch(_ change: @escaping @Sendable (ShareChange) -> Void) -> ShareWatch { ShareWatch(rawValue: 0) }
        func drained(_ share: Share, _ watch: ShareWatch) {}
        func unwatch(_ watch: ShareWatch) {}
        func read(_ share: Share) throws(ApusError) { self.world.readFormer(self.number) }
        func readEntries(_ number: Int) throws(ApusError) { self.world.readFormer(self.number) }
        func take(_ term: ShareTerm, from former: WorkClass, _ entry: LogBatch.LedgerWrite) throws(ApusError) {
            try self.world.take(self.number, from: former, entry)
        }
    }
}

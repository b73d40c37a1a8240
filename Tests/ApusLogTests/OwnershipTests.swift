import ApusCore
import ApusTestSupport
import Testing

@testable import ApusLog

/// Nodes that own one partition in turn, against a group that may be wrong about whose it is and a broker that refuses producers of an
/// older epoch.
struct OwnershipTests {
    /// What can happen next.
    enum Move: Hashable {
        case assign(Int)
        case revoke(Int)
        case lose(Int)
        /// The partition's thread does its next order.
        case order(Int, succeeds: Bool)
        /// A result reaches the machine.
        case hear(Int)
        case beginCommit(Int)
        case endCommit(Int)
        case drain(Int)
        case tick(Int)
    }

    struct Node: Hashable {
        var machine = Ownership()
        var orders: [Ownership.Action] = []
        var results: [Ownership.Event] = []
        /// The epoch of its producer.
        var epoch: Int?
        /// What it believes was decided so far.
        var view = -1
        var isPermitted = false
        var isCommitting = false
        var now = Timestamp.zero
    }

    struct World: Hashable {
        var nodes: [Node]
        var epoch = 0
        var decided = 0
        var isBroken = false

        init(_ count: Int) { self.nodes = Array(repeating: Node(), count: count) }

        var moves: [Move] {
            var moves: [Move] = []
            for (index, node) in self.nodes.enumerated() {
                moves.append(node.machine.isAssigned ? .revoke(index) : .assign(index))
                if node.machine.isAssigned { moves.append(.lose(index)) }
                if !node.orders.isEmpty, !node.isCommitting {
                    moves += [.order(index, succeeds: true), .order(index, succeeds: false)]
                }
                if !node.results.isEmpty { moves.append(.hear(index)) }
                if node.isPermitted, !node.isCommitting { moves.append(.beginCommit(index)) }
                if node.isCommitting { moves.append(.endCommit(index)) }
                if case .draining = node.machine.state, !node.isCommitting { moves.append(.drain(index)) }
                if node.machine.nextDue != nil { moves.append(.tick(index)) }
            }
            return moves
        }

        mutating func make(_ move: Move) {
            switch move {
            case .assign(let node): self.event(.assigned, node)
            case .revoke(let node): self.event(.revoked, node)
            case .lose(let node): self.event(.lost, node)
            case .order(let node, let succeeds): self.order(node, succeeds)
            case .hear(let node): self.event(self.nodes[node].results.removeFirst(), node)
            case .beginCommit(let node): self.nodes[node].isCommitting = true
            case .endCommit(let node): self.endCommit(node)
            case .drain(let node): self.event(.drained, node)
            case .tick(let node):
                if let due = self.nodes[node].machine.nextDue { self.nodes[node].now = max(due, self.nodes[node].now) }
                self.event(.tick, node)
            }
        }

        private mutating func event(_ event: Ownership.Event, _ node: Int) {
            for action in self.nodes[node].machine.event(event, now: self.nodes[node].now) {
                switch action {
                case .initialise, .read, .release: self.nodes[node].orders.append(action)
                case .announceWorking: self.nodes[node].isPermitted = true
                case .announceStopped: self.nodes[node].isPermitted = false
                case .announceDraining: break
                }
            }
        }

        private mutating func order(_ node: Int, _ succeeds: Bool) {
            switch self.nodes[node].orders.removeFirst() {
            case .initialise(let term):
                self.nodes[node].epoch = nil
                guard succeeds else { return self.nodes[node].results.append(.failed(term: term)) }
                self.epoch += 1
                self.nodes[node].epoch = self.epoch
                self.nodes[node].results.append(.initialised(term: term))
            case .read(let term):
                guard succeeds else { return self.nodes[node].results.append(.failed(term: term)) }
                self.nodes[node].view = self.decided
                self.nodes[node].results.append(.ledgerRead(term: term))
            case .release: self.nodes[node].epoch = nil
            case .announceWorking, .announceDraining, .announceStopped: break
            }
        }

        /// The broker decides: who holds an older epoch is refused.
        private mutating func endCommit(_ node: Int) {
            self.nodes[node].isCommitting = false
            if self.nodes[node].epoch == self.epoch {
                // Whoever decides has seen everything that was decided before.
                if self.nodes[node].view != self.decided { self.isBroken = true }
                self.decided += 1
                self.nodes[node].view = self.decided
            } else {
                let term = self.nodes[node].machine.term
                self.nodes[node].epoch = nil
                self.nodes[node].results.append(.failed(term: term))
            }
        }

        /// Nil when all is well.
        var problem: String? {
            if self.isBroken { return "a decision was made without knowing the one before" }
            let able = self.nodes.count { $0.isPermitted && $0.epoch == self.epoch }
            if able > 1 { return "two nodes work with a valid producer" }
            for node in self.nodes where node.isPermitted {
                switch node.machine.state {
                case .working, .draining: break
                default: return "a node may commit in the state \(node.machine.state)"
                }
            }
            return nil
        }
    }

    /// Every order of events up to a length, for two nodes that may both be told that the partition is theirs.
    @Test func noOrderOfEventsLetsTwoNodesDecideOrOneDecideBlindly() {
        var frontier: Set<World> = [World(2)]
        var seen = frontier
        for _ in 0..<10 {
            var next: Set<World> = []
            for world in frontier {
                for move in world.moves {
                    var after = world
                    after.make(move)
                    if let problem = after.problem {
                        Issue.record("\(problem) after \(move)")
                        return
                    }
                    if seen.count < 120_000, seen.insert(after).inserted { next.insert(after) }
                }
            }
            frontier = next
        }
        #expect(seen.contains { $0.decided > 0 })
        #expect(seen.contains { world in world.nodes.count { $0.isPermitted } == 2 })
    }

    @Test(arguments: 0..<40)
    func longRunsWithThreeNodesEndWithOneThatWorks(_ seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        var world = World(3)
        for step in 0..<2_000 {
            guard let move = world.moves.randomElement(using: &random) else { break }
            world.make(move)
            if let problem = world.problem {
                Issue.record("seed \(seed), step \(step): \(problem)")
                return
            }
        }
        self.settle(&world, on: 0)
        #expect(world.nodes[0].machine.state == .working, "seed \(seed)")
        let before = world.decided
        world.make(.beginCommit(0))
        world.make(.endCommit(0))
        #expect(world.decided == before + 1, "seed \(seed)")
        #expect(world.problem == nil, "seed \(seed)")
    }

    /// The group has made up its mind, and nothing fails any more.
    private func settle(_ world: inout World, on owner: Int) {
        for node in world.nodes.indices where node != owner && world.nodes[node].machine.isAssigned {
            world.make(.lose(node))
        }
        world.make(.assign(owner))
        for _ in 0..<10_000 {
            let moves = world.moves.filter { move in
                switch move {
                case .order(_, let succeeds): succeeds
                case .hear, .endCommit, .tick, .drain: true
                case .beginCommit(let node): node == owner && world.nodes[node].epoch != world.epoch
                case .assign, .revoke, .lose: false
                }
            }
            guard let move = moves.first else { return }
            world.make(move)
            if !world.nodes[owner].machine.isAssigned { world.make(.assign(owner)) }
        }
    }

    @Test func whatDrainsEndsWhenItIsDoneOrAtItsTimeAtTheLatest() {
        let now = Timestamp(microseconds: 1_000_000)
        let until = now + .milliseconds(Limits.Kafka.drainMilliseconds)
        var machine = Self.working(now)
        #expect(machine.event(.revoked, now: now) == [.announceDraining(until: until)])
        var late = machine
        #expect(machine.event(.drained, now: now) == [.announceStopped, .release])
        #expect(late.event(.tick, now: Timestamp(microseconds: until.microseconds - 1)) == [])
        #expect(late.nextDue == until)
        #expect(late.event(.tick, now: until) == [.announceStopped, .release])
        #expect(late.state == .notOwned)
    }

    @Test func aNodeWhoseProducerWasTakenBeginsAnewAWhileLater() {
        let now = Timestamp(microseconds: 1_000_000)
        var machine = Self.working(now)
        #expect(machine.event(.failed(term: machine.term), now: now) == [.announceStopped, .release])
        let again = now + .milliseconds(Int64(Limits.Kafka.renewalMilliseconds))
        #expect(machine.state == .waiting(until: again))
        #expect(machine.event(.tick, now: again) == [.initialise(term: 2)])
        // What the beginning before brings is too late.
        #expect(machine.event(.failed(term: 1), now: again) == [])
        #expect(machine.event(.initialised(term: 1), now: again) == [])
        #expect(machine.state == .initialising)
    }

    /// Behaviour 24: what was lost is not committed.
    @Test func whatWasLostStopsAtOnce() {
        let now = Timestamp(microseconds: 1_000_000)
        var machine = Self.working(now)
        #expect(machine.event(.lost, now: now) == [.announceStopped, .release])
        #expect(machine.event(.lost, now: now) == [])
        #expect(!machine.isAssigned)
    }

    private static func working(_ now: Timestamp) -> Ownership {
        var machine = Ownership()
        #expect(machine.event(.assigned, now: now) == [.initialise(term: 1)])
        #expect(machine.event(.initialised(term: 1), now: now) == [.read(term: 1)])
        #expect(machine.event(.ledgerRead(term: 1), now: now) == [.announceWorking(term: 1)])
        return machine
    }
}

import ApusCore
import Testing

@testable import ApusEngine

/// A pool, a host that does what it says when it is asked to, and the shortest words for both.
struct PoolBed {
    var pool: Pool
    var now = Timestamp(microseconds: 100_000_000)
    var actions: [PoolAction] = []
    var transitions: [InstanceTransition] = []

    init(devices: [Int64] = [100 << 30], hostMemory: Int64 = 1 << 40, policy: KeepAliveChoice? = nil) {
        let fixed = KeepAliveChoice.fixed(FixedTTL(device: .seconds(60), host: .seconds(600)))
        self.pool = Pool(PoolConfiguration(hostMemory: hostMemory), policy: policy ?? fixed)
        for bytes in devices { self.pool.add(capacity: bytes, now: self.now) }
    }

    static func plan(
        _ function: UInt32, generation: UInt64 = 1, gigabytes: Int64 = 60, devices: Int = 1, min: Int = 0, max: Int = 4
    ) -> PoolFunction {
        PoolFunction(
            function: FunctionID(rawValue: function), generation: generation, deviceCount: devices,
            deviceBytes: gigabytes << 30, hostBytes: gigabytes << 30, min: min, max: max, wakePrior: .seconds(3),
            coldPrior: .seconds(47))
    }

    mutating func tell(_ message: PoolMessage) {
        self.pool.receive(message, now: self.now)
        self.gather()
    }

    private mutating func gather() {
        self.actions += self.pool.takeActions()
        self.transitions += self.pool.takeTransitions()
    }

    mutating func take() -> [PoolAction] {
        defer { self.actions = [] }
        return self.actions
    }

    /// What can be done is done, until nothing is left to do.
    mutating func settle() {
        while !self.actions.isEmpty {
            switch self.actions.removeFirst() {
            case .start(let instance, _, _, _): self.tell(.report(instance, .forked))
            case .load(let instance):
                self.tell(.report(instance, .loaded))
                self.tell(.report(instance, .warmed))
            case .wake(let instance): self.tell(.report(instance, .woken))
            case .sleep(let instance): self.tell(.report(instance, .slept))
            case .drain: break
            case .stop(let instance):
                self.tell(.ended(instance))
                self.tell(.report(instance, .returned))
            }
        }
    }

    mutating func advance(_ span: TimeSpan) {
        let end = self.now + span
        while let due = self.pool.nextTimer, due <= end {
            self.now = max(self.now, due)
            self.pool.tick(now: self.now)
            self.gather()
            self.settle()
        }
        self.now = end
    }

    func instances(of function: UInt32) -> [(id: InstanceID, state: InstanceState, generation: UInt64)] {
        guard let slot = self.pool.functionSlots[FunctionID(rawValue: function)] else { return [] }
        return self.pool.functions[Int(slot)].instances.map {
            (self.pool.id($0), self.pool.instances[Int($0)].state, self.pool.instances[Int($0)].revision)
        }
    }

    func states(of function: UInt32) -> [InstanceState] { self.instances(of: function).map(\.state) }

    mutating func demand(_ function: UInt32, running: Int = 0, queued: Int = 0) {
        self.tell(.demand(FunctionID(rawValue: function), running: running, queued: queued))
    }
}

@Suite struct PoolTests {
    @Test func anInstanceStartsIsUsedSleepsAndWakes() {
        var bed = PoolBed()
        bed.tell(.deploy(PoolBed.plan(1)))
        #expect(bed.take().isEmpty, "nothing is started for nobody")
        bed.demand(1, queued: 1)
        bed.settle()
        #expect(bed.states(of: 1) == [.ready])
        let instance = bed.instances(of: 1)[0].id
        bed.tell(.occupied(instance, running: 1, uses: 1))
        bed.demand(1, running: 1)
        #expect(bed.states(of: 1) == [.busy(1)])
        bed.tell(.occupied(instance, running: 0, uses: 0))
        bed.demand(1)
        bed.advance(.seconds(61))
        #expect(bed.states(of: 1) == [.sleeping])
        bed.demand(1, queued: 1)
        bed.settle()
        #expect(bed.states(of: 1) == [.ready])
        #expect(bed.transitions.last { $0.from == .sleeping }?.tier == .host)
        bed.demand(1)
        bed.advance(.seconds(700))
        #expect(bed.states(of: 1) == [])
        #expect(bed.pool.fault() == nil)
        #expect(bed.pool.ledger(DeviceID(0)).promisedBytes == 0 && bed.pool.hostBytes == 0)
    }

    /// The work came to the shard before the order to sleep did.
    @Test func oneThatWasUsedBeforeItHeardThatItSleepsStaysAwake() {
        var bed = PoolBed()
        bed.tell(.deploy(PoolBed.plan(1)))
        bed.demand(1, queued: 1)
        bed.settle()
        let instance = bed.instances(of: 1)[0].id
        bed.demand(1)
        bed.now = bed.now + .seconds(61)
        bed.pool.tick(now: bed.now)
        #expect(bed.pool.takeActions() == [.sleep(instance)])
        bed.tell(.occupied(instance, running: 1, uses: 1))
        bed.demand(1, running: 1)
        bed.tell(.stayed(instance, running: 1))
        #expect(bed.states(of: 1) == [.busy(1)])
        #expect(bed.pool.fault() == nil)
        bed.tell(.occupied(instance, running: 0, uses: 0))
        bed.demand(1)
        bed.advance(.seconds(61))
        #expect(bed.states(of: 1) == [.sleeping])
        #expect(bed.pool.ledger(DeviceID(0)).leavingBytes == 0)
    }

    /// The invariant "no busy eviction".
    @Test func aBusyInstanceIsNotEvictedAndWhoWaitsForItsRoomIsNext() {
        var bed = PoolBed()
        bed.tell(.deploy(PoolBed.plan(1)))
        bed.tell(.deploy(PoolBed.plan(2)))
        bed.demand(1, queued: 1)
        bed.settle()
        let first = bed.instances(of: 1)[0].id
        bed.tell(.occupied(first, running: 1, uses: 1))
        bed.demand(1, running: 1)
        bed.advance(.seconds(30))
        bed.demand(2, queued: 1)
        bed.settle()
        bed.advance(.seconds(300))
        #expect(bed.states(of: 1) == [.busy(1)] && bed.states(of: 2) == [])
        bed.tell(.occupied(first, running: 0, uses: 0))
        bed.demand(1)
        bed.settle()
        bed.advance(.seconds(15))
        #expect(bed.states(of: 1) == [.sleeping] && bed.states(of: 2) == [.ready])
    }

    /// Its place is kept while its files come, however long that takes; from then on it starts from the disk.
    @Test func whatIsNotHereIsFetchedFirst() {
        var bed = PoolBed()
        var plan = PoolBed.plan(1)
        plan.fetch = .seconds(600)
        bed.tell(.deploy(plan))
        #expect(bed.pool.startEstimate(0, from: .remote) == .seconds(647))
        #expect(bed.pool.startEstimate(0, from: .disk) == .seconds(47))
        bed.demand(1, queued: 1)
        guard case .start(let instance, _, _, from: .remote) = bed.take().first else {
            Issue.record("it is not fetched")
            return
        }
        bed.advance(.seconds(3_000))
        #expect(bed.states(of: 1) == [.starting(.fetching)], "who fetches bounds that")
        bed.tell(.fetches(FunctionID(rawValue: 1), nil))
        bed.tell(.report(instance, .fetched))
        bed.tell(.report(instance, .forked))
        bed.settle()
        #expect(bed.states(of: 1) == [.ready] && bed.pool.fault() == nil)
        #expect(bed.transitions.last { $0.to == .ready }?.tier == .remote)
        bed.tell(.ended(instance))
        bed.tell(.report(instance, .returned))
        let next = bed.take().contains { if case .start(_, _, _, from: .disk) = $0 { true } else { false } }
        #expect(next)
    }

    /// What cannot be fetched is a start that failed: it is tried again, later each time, and its place is given back.
    @Test func aFetchThatFailsIsTriedAgainLater() {
        var bed = PoolBed()
        var plan = PoolBed.plan(1)
        plan.fetch = .seconds(600)
        bed.tell(.deploy(plan))
        bed.demand(1, queued: 1)
        var gaps: [TimeSpan] = []
        for _ in 0..<4 {
            guard case .start(let instance, _, _, from: .remote) = bed.take().first else { break }
            bed.tell(.ended(instance))
            _ = bed.take()
            bed.tell(.report(instance, .returned))
            #expect(bed.pool.ledger(DeviceID(0)).promisedBytes == 0 && bed.pool.fault() == nil)
            let failed = bed.now
            while bed.actions.isEmpty, bed.now - failed < .seconds(600) {
                bed.now = bed.now + .seconds(1)
                bed.pool.tick(now: bed.now)
                bed.tell(.sleeps(instance, true))
            }
            gaps.append(bed.now - failed)
        }
        #expect(gaps == [.seconds(1), .seconds(2), .seconds(4), .seconds(8)])
    }

    @Test func demandThatGrowsReachesAnotherDevice() {
        var bed = PoolBed(devices: [100 << 30, 100 << 30])
        bed.tell(.deploy(PoolBed.plan(1)))
        bed.demand(1, queued: 1)
        bed.settle()
        let first = bed.instances(of: 1)[0].id
        bed.tell(.occupied(first, running: 1, uses: 1))
        bed.demand(1, running: 1, queued: 2)
        bed.settle()
        let places = bed.instances(of: 1).map { bed.pool.devices(of: $0.id) }
        #expect(Set(places) == [[DeviceID(0)], [DeviceID(1)]] && places.count == 2, "a third has no room")
        #expect(bed.states(of: 1).contains(.busy(1)) && bed.states(of: 1).contains(.ready))
    }

    /// However often it is told of, and on however many devices there were room.
    @Test func oneRequestStartsOneInstance() {
        var bed = PoolBed(devices: Array(repeating: 100 << 30, count: 4))
        bed.tell(.deploy(PoolBed.plan(1)))
        for _ in 0..<5 { bed.demand(1, queued: 1) }
        bed.advance(.seconds(5))
        #expect(bed.instances(of: 1).count == 1)
        bed.settle()
        for _ in 0..<5 { bed.demand(1, queued: 1) }
        #expect(bed.states(of: 1) == [.ready] && bed.take().isEmpty)
    }

    @Test func aStartGoesWhereNobodyHasToLeave() {
        var bed = PoolBed(devices: [100 << 30, 100 << 30])
        for function in 1...2 as ClosedRange<UInt32> { bed.tell(.deploy(PoolBed.plan(function))) }
        bed.demand(1, queued: 1)
        bed.settle()
        bed.demand(1)
        bed.advance(.seconds(30))
        bed.demand(2, queued: 1)
        bed.settle()
        #expect(bed.states(of: 1) == [.ready] && bed.states(of: 2) == [.ready])
        #expect(bed.pool.devices(of: bed.instances(of: 2)[0].id) == [DeviceID(1)])
    }

    @Test func oneThatCannotSleepIsStopped() {
        var bed = PoolBed()
        bed.tell(.deploy(PoolBed.plan(1)))
        bed.demand(1, queued: 1)
        bed.settle()
        bed.tell(.sleeps(bed.instances(of: 1)[0].id, false))
        bed.demand(1)
        bed.advance(.seconds(61))
        #expect(bed.states(of: 1) == [])
    }

    /// What runs on no device keeps its place in the host's memory alone.
    @Test func aFunctionWithoutADeviceSleepsToo() {
        var bed = PoolBed(devices: [])
        bed.tell(.deploy(PoolBed.plan(1, devices: 0)))
        bed.demand(1, queued: 1)
        bed.settle()
        #expect(bed.states(of: 1) == [.ready])
        bed.demand(1)
        bed.advance(.seconds(61))
        #expect(bed.states(of: 1) == [.sleeping])
        bed.demand(1, queued: 1)
        bed.settle()
        #expect(bed.states(of: 1) == [.ready])
    }

    @Test func oneThatDoesNotWakeIsStartedAnewAtOnce() {
        var bed = PoolBed()
        bed.tell(.deploy(PoolBed.plan(1)))
        bed.demand(1, queued: 1)
        bed.settle()
        let instance = bed.instances(of: 1)[0].id
        bed.demand(1)
        bed.advance(.seconds(61))
        bed.demand(1, queued: 1)
        #expect(bed.take() == [.wake(instance)])
        bed.tell(.ended(instance))
        bed.tell(.report(instance, .returned))
        bed.settle()
        #expect(bed.states(of: 1) == [.ready])
        #expect(bed.instances(of: 1)[0].id != instance)
        #expect(bed.pool.fault() == nil && bed.pool.hostBytes == 0)
    }
}

/// A newer revision where the device has no room for both.
@Suite struct PoolRolloutTests {
    private static func deployed() -> PoolBed {
        var bed = PoolBed()
        bed.tell(.deploy(PoolBed.plan(1)))
        bed.demand(1, queued: 1)
        bed.settle()
        bed.demand(1)
        return bed
    }

    @Test func theOlderSleepsWhileTheNewerStartsAndStopsWhenThatIsReady() {
        var bed = Self.deployed()
        let old = bed.instances(of: 1)[0].id
        bed.tell(.deploy(PoolBed.plan(1, generation: 2)))
        #expect(bed.pool.state(of: old) == .sleeping)
        bed.settle()
        #expect(bed.instances(of: 1).map(\.generation) == [2])
        #expect(bed.states(of: 1) == [.ready])
        #expect(bed.pool.state(of: old) == nil && bed.pool.fault() == nil)
    }

    @Test func theOlderIsWokenWhereTheNewerDoesNotStart() {
        var bed = Self.deployed()
        let old = bed.instances(of: 1)[0].id
        bed.tell(.deploy(PoolBed.plan(1, generation: 2)))
        for action in bed.take() {
            switch action {
            case .sleep(let instance): bed.tell(.report(instance, .slept))
            case .start(let instance, _, _, _): bed.tell(.report(instance, .forked))
            default: break
            }
        }
        let new = bed.instances(of: 1).first { $0.generation == 2 }?.id
        #expect(new != nil)
        if let new {
            bed.tell(.ended(new))
            bed.tell(.report(new, .returned))
        }
        bed.demand(1, queued: 1)
        bed.settle()
        #expect(bed.pool.state(of: old) == .ready)
        bed.advance(.seconds(30))
        #expect(bed.instances(of: 1).map(\.generation) == [1], "the newer is not tried again and again")
    }

    /// One that works without a pause would keep the newer out for ever.
    @Test func anOlderThatIsNeverIdleEndsAfterWhatRunsInIt() {
        var bed = Self.deployed()
        let old = bed.instances(of: 1)[0].id
        bed.tell(.occupied(old, running: 1, uses: 1))
        bed.demand(1, running: 1, queued: 3)
        bed.tell(.deploy(PoolBed.plan(1, generation: 2)))
        #expect(bed.pool.state(of: old) == .draining)
        bed.tell(.occupied(old, running: 0, uses: 0))
        bed.tell(.ended(old))
        bed.tell(.report(old, .returned))
        bed.settle()
        #expect(bed.instances(of: 1).map(\.generation) == [2])
    }

    @Test func theOlderServesWhereThereIsRoomForBoth() {
        var bed = PoolBed(devices: [200 << 30])
        bed.tell(.deploy(PoolBed.plan(1)))
        bed.demand(1, queued: 1)
        bed.settle()
        let old = bed.instances(of: 1)[0].id
        bed.tell(.occupied(old, running: 1, uses: 1))
        bed.demand(1, running: 1)
        bed.tell(.deploy(PoolBed.plan(1, generation: 2)))
        #expect(bed.pool.state(of: old) == .busy(1))
        bed.settle()
        #expect(bed.pool.state(of: old) == .draining, "what runs in it is over first")
        #expect(bed.instances(of: 1).contains { $0.generation == 2 && $0.state == .ready })
    }
}

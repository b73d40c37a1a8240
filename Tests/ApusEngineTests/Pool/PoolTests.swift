import ApusCore
import Testing

@testable import ApusEngine

/// A pool, a host that does what it says when it is asked to, and the shortest words for both.
struct PoolBed {
    var pool: Pool
    var now = Timestamp(microseconds: 100_000_000)
    var actions: [PoolAction] = []
    var transitions: [InstanceTransition] = []
    /// Who was told to take nothing new.
    var rested: [InstanceID] = []

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
            case .fetch(let instance, let function):
                self.tell(.fetches(function, nil))
                self.tell(.report(instance, .fetched))
            case .start(let instance, _, _, _): self.tell(.report(instance, .forked))
            case .load(let instance):
                self.tell(.report(instance, .loaded))
                self.tell(.report(instance, .warmed))
            case .wake(let instance): self.tell(.report(instance, .woken))
            case .sleep(let instance): self.tell(.report(instance, .slept))
            case .rest(let instance): self.rested.append(instance)
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

    /// However long its files take to come; from then on it starts from the disk.
    @Test func whatIsNotHereIsFetchedFirst() {
        var bed = PoolBed()
        var plan = PoolBed.plan(1)
        plan.fetch = .seconds(600)
        bed.tell(.deploy(plan))
        #expect(bed.pool.startEstimate(0, from: .remote) == .seconds(647))
        #expect(bed.pool.startEstimate(0, from: .disk) == .seconds(47))
        bed.demand(1, queued: 1)
        guard case .fetch(let instance, _) = bed.take().first else {
            Issue.record("it is not fetched")
            return
        }
        bed.advance(.seconds(3_000))
        #expect(bed.states(of: 1) == [.starting(.fetching)], "who fetches bounds that")
        bed.tell(.fetches(FunctionID(rawValue: 1), nil))
        bed.tell(.report(instance, .fetched))
        #expect(bed.actions == [.start(instance, FunctionID(rawValue: 1), [DeviceID(0)], from: .remote)])
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
            guard case .fetch(let instance, _) = bed.take().first else { break }
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

    /// What is fetched takes minutes: who is on the device serves until it has come, and what came finds its room then.
    @Test func aFetchHoldsNoDevice() {
        var bed = PoolBed()
        var plan = PoolBed.plan(1)
        plan.fetch = .seconds(600)
        bed.tell(.deploy(plan))
        bed.tell(.deploy(PoolBed.plan(2)))
        bed.demand(2, queued: 1)
        bed.settle()
        let other = bed.instances(of: 2)[0].id
        bed.tell(.occupied(other, running: 1, uses: 1))
        bed.demand(2, running: 1)
        bed.demand(1, queued: 1)
        guard case .fetch(let instance, _) = bed.take().first else {
            Issue.record("it is not fetched")
            return
        }
        bed.now = bed.now + .seconds(300)
        #expect(bed.pool.ledger(DeviceID(0)).claimedBytes == 0 && bed.pool.devices(of: instance).isEmpty)
        #expect(bed.states(of: 2) == [.busy(1)] && bed.actions.isEmpty)
        // It has come while the device is busy: it waits for its room, and gets it.
        bed.tell(.fetches(FunctionID(rawValue: 1), nil))
        bed.tell(.report(instance, .fetched))
        #expect(bed.states(of: 1) == [.starting(.fetching)] && bed.actions.isEmpty && bed.pool.fault() == nil)
        bed.tell(.occupied(other, running: 0, uses: 0))
        bed.demand(2)
        // One that worked a moment ago is not evicted.
        bed.advance(Limits.Pool.protection + .seconds(1))
        #expect(bed.states(of: 1) == [.ready] && bed.states(of: 2) == [.sleeping])
        #expect(bed.instances(of: 1)[0].id == instance && bed.pool.fault() == nil)
    }

    /// Nobody waits any more when it has come: it takes no room from others. Where no device could hold it, nothing is fetched.
    @Test func whatNobodyWaitsForOrNothingHoldsTakesNoDevice() {
        var bed = PoolBed()
        var plan = PoolBed.plan(1)
        plan.fetch = .seconds(600)
        bed.tell(.deploy(plan))
        bed.demand(1, queued: 1)
        guard case .fetch(let instance, let function) = bed.take().first else {
            Issue.record("it is not fetched")
            return
        }
        bed.demand(1)
        bed.tell(.fetches(function, nil))
        bed.tell(.report(instance, .fetched))
        #expect(bed.actions == [.stop(instance)])
        bed.settle()
        #expect(bed.states(of: 1).isEmpty && bed.pool.ledger(DeviceID(0)).promisedBytes == 0 && bed.pool.fault() == nil)
        var large = PoolBed.plan(3, gigabytes: 200)
        large.fetch = .seconds(600)
        bed.tell(.deploy(large))
        bed.demand(3, queued: 1)
        #expect(bed.take().isEmpty && bed.states(of: 3).isEmpty)
    }

    /// Starts on a device follow each other: the next goes where none is under way, though that device is empty.
    @Test func aStartGoesWhereItNeedNotWaitForOthers() {
        var bed = PoolBed(devices: [100 << 30, 100 << 30])
        for function in 1...3 as ClosedRange<UInt32> { bed.tell(.deploy(PoolBed.plan(function, gigabytes: 20))) }
        for function in 1...3 as ClosedRange<UInt32> { bed.demand(function, queued: 1) }
        let places = (1...3 as ClosedRange<UInt32>).map { bed.pool.devices(of: bed.instances(of: $0)[0].id) }
        #expect(places[0] == [DeviceID(0)] && places[1] == [DeviceID(1)], "\(places)")
        bed.settle()
        #expect((1...3).allSatisfy { bed.states(of: $0) == [.ready] } && bed.pool.fault() == nil)
        // With no start under way the device that holds something comes before an empty one.
        var calm = PoolBed(devices: [100 << 30, 100 << 30])
        for function in 1...2 as ClosedRange<UInt32> {
            calm.tell(.deploy(PoolBed.plan(function, gigabytes: 20)))
            calm.demand(function, queued: 1)
            calm.settle()
        }
        #expect(calm.pool.devices(of: calm.instances(of: 2)[0].id) == [DeviceID(0)])
    }

    /// What a start waits for others on its device is no part of what its starts are known to take.
    @Test func theWaitForOthersIsNotLearned() {
        var bed = PoolBed()
        for function in 1...2 as ClosedRange<UInt32> { bed.tell(.deploy(PoolBed.plan(function, gigabytes: 20))) }
        for function in 1...2 as ClosedRange<UInt32> { bed.demand(function, queued: 1) }
        for action in bed.take() {
            if case .start(let instance, _, _, _) = action { bed.tell(.report(instance, .forked)) }
        }
        for _ in 0..<2 {
            guard case .load(let instance) = bed.take().first else {
            Issue.record("nothing loads")
            return
        }
            bed.now = bed.now + .seconds(10)
            bed.tell(.report(instance, .loaded))
            bed.tell(.report(instance, .warmed))
        }
        #expect((0..<2).allSatisfy { bed.pool.startEstimate($0, from: .disk) == .seconds(10) })
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

    @Test func theNextStartTakesWhatItTakesFromWhereItIs() {
        var bed = PoolBed()
        bed.tell(.deploy(PoolBed.plan(1)))
        #expect(bed.pool.nextStart(of: FunctionID(rawValue: 1)) == .seconds(47))
        bed.demand(1, queued: 1)
        bed.settle()
        bed.demand(1)
        bed.advance(.seconds(61))
        #expect(bed.states(of: 1) == [.sleeping])
        #expect(bed.pool.nextStart(of: FunctionID(rawValue: 1)) == .seconds(3))
        #expect(bed.pool.nextStart(of: FunctionID(rawValue: 2)) == nil)
    }

    /// The first has work all the time; the second is served when the first one's turn is over, and nobody who runs something is moved.
    @Test func whoAlwaysHasWorkMakesRoomWhenItsTurnIsOver() {
        var bed = PoolBed()
        for function in 1...2 as ClosedRange<UInt32> { bed.tell(.deploy(PoolBed.plan(function))) }
        bed.demand(1, queued: 2)
        bed.settle()
        let first = bed.instances(of: 1)[0].id
        bed.tell(.occupied(first, running: 1, uses: 1))
        bed.demand(1, running: 1, queued: 5)
        bed.demand(2, queued: 1)
        bed.settle()
        bed.advance(.seconds(9))
        #expect(bed.take().isEmpty && bed.states(of: 2).isEmpty, "its turn lasts")
        // The bed settles what the pool asks for; to rest is nothing that is done at once.
        bed.advance(.seconds(21))
        #expect(bed.rested == [first] && bed.states(of: 1) == [.busy(1)])
        bed.tell(.occupied(first, running: 0, uses: 0))
        bed.settle()
        #expect(bed.states(of: 1) == [.sleeping] && bed.states(of: 2) == [.ready])
        #expect(bed.pool.fault() == nil)
    }

    /// Nobody waits, or who waits was given more already.
    @Test func aTurnEndsOnlyForWhoWasServedLess() {
        var bed = PoolBed()
        for function in 1...2 as ClosedRange<UInt32> { bed.tell(.deploy(PoolBed.plan(function, min: function == 1 ? 1 : 0))) }
        bed.settle()
        let first = bed.instances(of: 1)[0].id
        bed.tell(.occupied(first, running: 1, uses: 1))
        bed.demand(1, running: 1, queued: 5)
        bed.advance(.seconds(60))
        #expect(bed.rested.isEmpty, "nobody waits")
        bed.demand(2, queued: 1)
        bed.advance(.seconds(60))
        #expect(bed.rested.isEmpty, "what its manifest asks for stays")
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

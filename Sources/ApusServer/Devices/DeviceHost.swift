internal import ApusCore
internal import ApusEngine
internal import ApusLoop
internal import ApusTelemetry
internal import Glibc
internal import Synchronization

/// The devices of this server: finds them, asks their driver once a second on a thread of its own, and tells the pool what changed.
///
/// The driver may hang; nothing else does then. What is known lies behind a lock, for any thread.
final class DeviceHost: @unchecked Sendable {
    // SAFETY: `driver` is touched on `thread` only; everything else that changes is locked, or on `loop`.

    /// What an instance on a device is doing, for people.
    struct Instance: Sendable, Equatable {
        var id: InstanceID
        var name: ResourceName
        var revision: String
        var state: InstanceState
        var since: Timestamp
        var devices: [Int]
        var bytes: Int64
        var tier: Tier
    }

    private struct State {
        var register: DeviceRegister
        var instances: [InstanceID: Instance] = [:]
        /// Instances that ended, until their devices have their memory back.
        var returns: [Return] = []
        /// The first reading that may tell of what happened since.
        var reads: UInt64 = 0
        var askedAt: Timestamp?
    }

    private struct Return {
        var devices: [Int]
        var after: UInt64
        var until: Timestamp
        var quarantines: Bool
        var completion: @Sendable (Bool) -> Void
    }

    let loop: EventLoop
    private let journal: Log
    private let clock = SystemClock()
    private let thread = WorkThread()
    private let driver: any DeviceDriver
    private let simulated: SimulatedDriver?
    private let hang: TimeSpan
    private let tree = ProcessTree(root: getpid())
    private let state: Mutex<State>
    private let file: DeviceFile
    private var timer: LoopTimer?
    /// Told of every change, on no particular thread, in order; nil drops them.
    private let onChange = Mutex<(@Sendable ([DeviceRegister.Change]) -> Void)?>(nil)

    /// Finds what there is. Devices of a driver that does not answer in time are not used until the next start.
    init(_ settings: PoolSettings, dataDirectory: String, loop: EventLoop, journal: Log) {
        self.loop = loop
        self.journal = journal
        self.file = DeviceFile(path: "\(dataDirectory)/devices")
        self.hang = settings.hang
        let declared = settings.simulated.isEmpty ? nil : SimulatedDriver(settings.simulated)
        self.simulated = declared
        let (driver, found) = Self.open(settings, declared, self.thread, journal)
        self.driver = driver
        self.state = Mutex(State(register: DeviceRegister(found, now: self.clock.now)))
        self.restore()
        if !found.isEmpty { journal.info("devices", ["count": "\(found.count)"]) }
    }

    /// The inventory, in the order of the pool's ids.
    var inventory: [DeviceDescription] {
        self.state.withLock { state in
            state.register.devices.map { device in
                var description = device.found.description
                description.health = device.health
                return description
            }
        }
    }

    var devices: [DeviceRegister.Device] { self.state.withLock { $0.register.devices } }
    var instances: [Instance] { self.state.withLock { Array($0.instances.values) } }
    var isHanging: Bool { self.state.withLock { $0.register.isHanging } }

    /// The pool: it is told what changes from now on. What an earlier run left is in the inventory.
    func bind(_ tell: @escaping @Sendable ([DeviceRegister.Change]) -> Void) { self.onChange.withLock { $0 = tell } }

    func start() {
        guard !self.state.withLock({ $0.register.devices.isEmpty }) else { return }
        self.loop.runAndWait {
            let timer = LoopTimer(self.loop) { self.tick() }
            let step = UInt64(Limits.Devices.readMilliseconds)
            timer.start(milliseconds: 0, repeating: step)
            self.timer = timer
        }
    }

    /// From another thread than the loop. A driver that hangs keeps its thread, and is left behind with it.
    func stop() {
        self.loop.runAndWait {
            self.timer?.close()
            self.timer = nil
        }
        let (isBusy, returns) = self.state.withLock { state in
            defer { state.returns = [] }
            return (state.askedAt != nil, state.returns)
        }
        for wait in returns { wait.completion(true) }
        if !isBusy { self.thread.stop() }
    }

    // MARK: what operators say

    /// - Throws: `not_found`.
    func drain(_ id: String) throws(ApusError) -> DeviceRegister.Device {
        try self.change(id) { $0.drain($1, now: $2) }
    }

    /// - Throws: `not_found`.
    func clear(_ id: String) throws(ApusError) -> DeviceRegister.Device {
        try self.change(id) { $0.clear($1, now: $2) }
    }

    private func change(
        _ id: String, _ body: (inout DeviceRegister, Int, Timestamp) -> [DeviceRegister.Change]
    ) throws(ApusError) -> DeviceRegister.Device {
        let now = self.clock.now
        let found = self.state.withLock { state -> (DeviceRegister.Device, [DeviceRegister.Change])? in
            guard let place = state.register.place(of: id) else { return nil }
            let changes = body(&state.register, place, now)
            return (state.register.devices[place], changes)
        }
        guard let (device, changes) = found else {
            throw ApusError(.notFound, "there is no device '\(id.prefix(96))' here: see `apus devices`")
        }
        self.tell(changes)
        return device
    }

    // MARK: what the pool says

    /// What became of instances, in order: simulated devices are in use by what these hold.
    func changed(_ changes: [InstanceChange]) {
        for change in changes where !change.transition.devices.isEmpty {
            let id = change.transition.instance
            let places = change.transition.devices.map(\.index)
            let bytes = Self.bytes(of: change)
            self.state.withLock { state in
                guard change.transition.to != .absent else {
                    state.instances[id] = nil
                    return
                }
                state.instances[id] = Instance(
                    id: id, name: change.name, revision: change.revision, state: change.transition.to,
                    since: change.transition.at, devices: places, bytes: bytes, tier: change.transition.tier)
            }
            let isGone = change.transition.to == .absent || change.transition.to == .stopped
            self.simulated?.hold(id, isGone ? 0 : bytes, on: places)
        }
    }

    private static func bytes(of change: InstanceChange) -> Int64 {
        switch change.transition.to {
        case .absent, .stopped, .quarantined, .starting(.fetching), .starting(.forking): 0
        case .sleeping: change.residueBytes
        case .starting, .ready, .busy, .draining: change.deviceBytes
        }
    }

    /// Tells whether devices have the memory of an instance back that ended now, or fell asleep: by a reading that began after that, within
    /// ``Limits/Pool/memoryReturn``.
    /// - Parameters:
    ///   - quarantines: a device without its memory is set apart. One whose instance sleeps may still get it back, by that one's end.
    ///   - completion: called once, on no particular thread: false for a leak.
    func whenReturned(
        _ devices: [DeviceID], quarantines: Bool = true, _ completion: @escaping @Sendable (Bool) -> Void
    ) {
        let until = self.clock.now + Limits.Pool.memoryReturn
        self.state.withLock { state in
            // A reading under way may have looked before the end.
            let after = state.reads + (state.askedAt == nil ? 1 : 2)
            state.returns.append(
                Return(
                    devices: devices.map(\.index), after: after, until: until, quarantines: quarantines,
                    completion: completion))
        }
        self.loop.post { self.tick() }
    }

    // MARK: asking

    private func tick() {
        guard self.timer != nil else { return }
        let now = self.clock.now
        let (asks, changes) = self.state.withLock { state -> (Bool, [DeviceRegister.Change]) in
            guard let asked = state.askedAt else {
                state.askedAt = now
                return (true, [])
            }
            return (false, now - asked > self.hang ? state.register.hangs(now: now) : [])
        }
        self.tell(changes)
        guard asks else { return }
        self.thread.run {
            let events = self.driver.events()
            let readings = self.driver.read()
            self.took(events, readings)
        }
    }

    private func took(_ events: [DeviceEvent], _ readings: [DeviceReading]) {
        let now = self.clock.now
        let (changes, returned, leaked) = self.state.withLock {
            state -> ([DeviceRegister.Change], [Return], [Return]) in
            state.askedAt = nil
            state.reads += 1
            let expected = Self.expected(state)
            var changes = events.flatMap { state.register.happened($0, now: now) }
            changes += state.register.read(readings, attributed: self.attributed, now: now)
            let seen = state.returns.filter { $0.after <= state.reads }
            let whole = seen.filter { wait in
                wait.devices.allSatisfy { Self.isBack($0, expected, state.register) }
            }
            let leaks = seen.filter { wait in
                wait.until <= now && !wait.devices.allSatisfy { Self.isBack($0, expected, state.register) }
            }
            for place in Set(leaks.filter(\.quarantines).flatMap(\.devices)) where !Self.isBack(place, expected, state.register) {
                changes += state.register.leaked(place, now: now)
            }
            let reads = state.reads
            state.returns.removeAll { wait in
                wait.after <= reads
                    && (wait.until <= now || wait.devices.allSatisfy { Self.isBack($0, expected, state.register) })
            }
            return (changes, whole, leaks)
        }
        self.tell(changes)
        for wait in returned { wait.completion(true) }
        for wait in leaked { wait.completion(false) }
        guard self.state.withLock({ !$0.returns.isEmpty }) else { return }
        // Somebody waits to start there.
        self.loop.post {
            self.timer?.start(
                milliseconds: Limits.Devices.returnMilliseconds, repeating: UInt64(Limits.Devices.readMilliseconds))
        }
    }

    /// What instances that are there may hold of each device.
    private static func expected(_ state: State) -> [Int: Int64] {
        var expected: [Int: Int64] = [:]
        for instance in state.instances.values {
            for place in instance.devices { expected[place, default: 0] += instance.bytes }
        }
        return expected
    }

    /// Our processes hold no more than those that are there may; a little more is what contexts take.
    private static func isBack(_ place: Int, _ expected: [Int: Int64], _ register: DeviceRegister) -> Bool {
        guard register.devices.indices.contains(place) else { return true }
        let device = register.devices[place]
        let slack = device.found.description.memoryBytes / 100 * Int64(Limits.Pool.headroomPercent)
        return device.attributed <= (expected[place] ?? 0) + slack
    }

    private func attributed(_ device: FoundDevice, _ processes: [DeviceProcess]) -> Int64 {
        if device.description.isSimulated {
            return processes.reduce(0) { $0 + ($1.bytes ?? 0) }
        }
        // What cannot be told to be ours is the device's: it blocks room.
        return processes.filter { self.tree.holds($0.pid) }.reduce(0) { $0 + ($1.bytes ?? 0) }
    }

    private func tell(_ changes: [DeviceRegister.Change]) {
        guard !changes.isEmpty else { return }
        var isLasting = false
        for change in changes {
            switch change {
            case .observed: continue
            case .quarantined(let device, let reason):
                self.journal.error("a device is quarantined: \(reason)", ["device": self.name(of: device)])
            case .lost(let device, let reason):
                self.journal.error("a device is gone: \(reason)", ["device": self.name(of: device)])
            case .draining(let device): self.journal.info("a device drains", ["device": self.name(of: device)])
            case .cleared(let device):
                self.journal.info("a device is in use again", ["device": self.name(of: device)])
            }
            isLasting = true
        }
        if isLasting { self.keep() }
        self.onChange.withLock { $0 }?(changes)
    }

    private func name(of device: DeviceID) -> String {
        self.state.withLock { $0.register.devices[device.index].found.description.id }
    }

    // MARK: over restarts

    private func keep() {
        let devices = self.devices
        do throws(ApusError) { try self.file.write(devices) } catch {
            self.journal.error("the state of devices is forgotten at the next start: \(error.message)")
        }
    }

    private func restore() {
        let now = self.clock.now
        let kept: [(id: String, health: DeviceLedger.Health)]
        do throws(ApusError) { kept = try self.file.read() } catch {
            return self.journal.error("what was said of devices is not known, all are in use: \(error.message)")
        }
        for (id, health) in kept {
            self.state.withLock { state in
                guard let place = state.register.place(of: id) else { return }
                _ = state.register.restore(place, health, now: now)
            }
        }
    }

    private static func open(
        _ settings: PoolSettings, _ declared: SimulatedDriver?, _ thread: WorkThread, _ journal: Log
    ) -> (any DeviceDriver, [FoundDevice]) {
        // Declared devices stand in for all: with real ones beside them no figure could say what it is of.
        if let declared { return (declared, declared.inventory()) }
        let none = SimulatedDriver([])
        guard settings.discovers else { return (none, []) }
        let opening = DriverOpening()
        let library = settings.library
        thread.run {
            do throws(ApusError) {
                let driver = try NVMLDriver(library: library)
                opening.finish(.success((driver, try driver.inventory())))
            } catch { opening.finish(.failure(error)) }
        }
        switch opening.wait(milliseconds: Limits.Devices.openMilliseconds) {
        case nil:
            journal.error("no device is used: the driver does not answer")
            return (none, [])
        case .failure(let error):
            // A host without the library is an ordinary one.
            if error.code != .notFound { journal.warning("\(error.message)") }
            return (none, [])
        case .success(let (driver, found)): return (driver, found)
        }
    }
}

internal import ApusCore
internal import ApusEngine
internal import ApusLoop
internal import CShims
internal import Glibc

/// The server's side of one worker: its descriptors, what was read of it and what waits to be written, its attempts. It
/// reads and writes; what frames mean for the engine is decided by its ``Shard``. Loop thread only.
final class WorkerChannel {
    let worker: WorkerID
    let function: FunctionState
    let startedAt: Timestamp
    // SAFETY: the shard owns its channels, and closes each before it lets go of it. A counted reference would be taken
    // for each frame.
    unowned(unsafe) let shard: Shard

    var machine: ChannelMachine
    var attempts = AttemptTable()
    /// Why it is ended by the server; the first reason counts.
    var fatal: Failure?
    /// The engine or the server asked for its end.
    var isKilled = false
    /// It was told to leave: not needed, or replaced.
    var isRetired = false
    var ticket: LaunchTicket?
    private(set) var isolation: WorkerIsolation
    /// Where to look at what it is denied, and what that was at the last look.
    private(set) var denialSource: DenialSource?
    var deniedTotal: UInt32 = 0
    var denied = DenialReport()
    var hasBeenReady = false
    /// Its files are not on this machine yet, and its process is not made before they are.
    var isWaitingForFiles = false
    let activity: FunctionActivity
    /// When its process was there, when it said HELLO, and when it was ready; zero before.
    var launchedAt = Timestamp.zero
    var greetedAt = Timestamp.zero
    var readyAt = Timestamp.zero
    /// When it was last woken for work.
    var wokenAt = Timestamp.zero
    /// What the pool knows it as, where that started it.
    var instance: InstanceID?
    /// The pool has yet to say that it may load: INIT waits for that.
    var isHeld = false
    /// Since when it owes the answer to SLEEP.
    var hookSince: Timestamp?
    /// An attempt of its ended.
    private var hasConcluded = false
    /// It was given work once.
    var hasWorked = false
    /// A trace shows how it was started.
    var isStartTraced = false
    var stateSince: Timestamp
    var idleSince: Timestamp
    /// What it costs, and since when it has nothing to do: pings do not count as use.
    private let size: WorkerMeter.Size
    private var part = WorkerMeter.Part.starting
    private var freeSince: Timestamp
    private var hasBeenUsed = false
    enum Intake {
        /// Next: `held`, `last`.
        case open
        /// What it sends is not taken as fast as it comes: nothing is read. Next: `open`, `last`.
        case held
        /// Its process is gone: the rest of its pipe is read, which is little.
        case last
    }
    private(set) var intake = Intake.open
    /// Since when a part of a frame waits for its rest.
    var partSince: Timestamp?
    var budget = LogBudget()
    /// Whether the shard knows that something waits to be flushed.
    var isQueued = false

    /// Until they are sent, or the worker turns out to need no more than it inherited.
    private var secrets: WorkerSecrets?
    /// What its requests are given on their way out, until it is launched.
    private var injections: WorkerSecrets?
    private(set) var masks = SecretMasks()

    private var descriptors: LaunchedWorker?
    private var reader = FrameReader()
    var output = OutputBuffer()
    /// Attempts of which no byte is in the pipe yet.
    var unwritten: [UInt64] = []
    /// Attempts of which no byte ever will be.
    private(set) var neverSent: [UInt64] = []
    private var readWatch: DescriptorWatch?
    private var writeWatch: DescriptorWatch?
    private(set) var captures: [OutputCapture] = []

    init(_ worker: WorkerID, _ function: FunctionState, shard: Shard, now: Timestamp) {
        self.worker = worker
        self.function = function
        self.activity = shard.activity(of: function.function.plan.function, named: function.function.name)
        let bounds = function.function.launch.bounds
        self.size = WorkerMeter.Size(memoryBytes: bounds.memoryBytes, processorMillis: bounds.cpuMillis)
        self.freeSince = now
        self.shard = shard
        self.startedAt = now
        self.stateSince = now
        self.idleSince = now
        self.machine = ChannelMachine(concurrency: function.function.plan.concurrency)
        self.isolation = WorkerIsolation(function.function.launch.effectiveIsolation)
        self.activity.meter.joined(self.size, now: now)
    }

    deinit {
        self.closeDescriptors()
        self.reader.release()
        self.output.release()
    }

    /// Takes over the descriptors of the process.
    /// - Returns: whether they can be watched.
    func adopt(_ launched: LaunchedWorker, loop: EventLoop) -> Bool {
        self.ticket = launched.ticket
        self.isolation.missingLayers = launched.missingLayers
        self.denialSource = launched.denials
        self.isolation.mode = launched.mode
        if launched.sharesSandbox { self.isolation.calls = .process }
        self.descriptors = launched
        self.machine.launched()
        // SAFETY: the watches are closed in `close`, before the channel goes.
        let reading = DescriptorWatch(loop, descriptor: launched.fromWorker) { [unowned(unsafe) self] _ in
            self.shard.readable(self)
        }
        let writing = DescriptorWatch(loop, descriptor: launched.toWorker) { [unowned(unsafe) self] _ in
            self.shard.flush(self)
        }
        self.readWatch = reading
        self.writeWatch = writing
        self.captures = [(launched.stdout, LogPayload.Level.stdout), (launched.stderr, .stderr)].map {
            descriptor, level in
            OutputCapture(descriptor: descriptor, level: level, channel: self, loop: loop)
        }
        guard let reading, writing != nil, self.captures.allSatisfy({ $0.isWatching }) else { return false }
        reading.watch(.readable)
        return true
    }

    // MARK: what it costs

    func becameBusy(now: Timestamp) {
        self.stateSince = now
        self.activity.meter.moved(from: self.part, to: .busy, self.size, now: now)
        self.part = .busy
        if self.hasBeenUsed {
            self.activity.gaps.used(idleSince: self.freeSince, now: now)
        } else {
            self.hasBeenUsed = true
            self.activity.gaps.started(now: now)
        }
    }

    func becameIdle(now: Timestamp) {
        self.idleSince = now
        self.stateSince = now
        self.freeSince = now
        self.activity.meter.moved(from: self.part, to: .idle, self.size, now: now)
        self.part = .idle
    }

    /// Its process is gone.
    func left(now: Timestamp) {
        self.activity.meter.left(from: self.part, self.size, now: now)
        if self.hasBeenUsed { self.activity.gaps.stopped(idleSince: self.part == .idle ? self.freeSince : now) }
    }

    /// Ends reading and writing; its process may still run.
    func close() {
        self.machine.died()
        self.readWatch?.close()
        self.readWatch = nil
        self.writeWatch?.close()
        self.writeWatch = nil
        for capture in self.captures { capture.close() }
        self.captures = []
        self.closeDescriptors()
        self.secrets = nil
        self.injections = nil
        self.output.release()
    }

    /// No further frame is read or written; output of the process still is.
    func silence() {
        self.machine.died()
        self.readWatch?.watch([])
        self.writeWatch?.watch([])
        self.output.release()
    }

    private func closeDescriptors() {
        guard let descriptors = self.descriptors else { return }
        self.descriptors = nil
        for descriptor in [
            descriptors.toWorker, descriptors.fromWorker, descriptors.descriptors, descriptors.stdout,
            descriptors.stderr,
        ] { _ = Glibc.close(descriptor) }
    }

    // MARK: reading

    /// Takes in what the worker printed before it told how its only attempt ended: those lines are the attempt's, and the loop may hear
    /// of the outcome first. Each look is a system call, so one that printed nothing by the end of its first attempt is not asked again
    /// until it does.
    func gatherOutput() {
        guard self.attempts.count == 1 else { return }
        for capture in self.captures where capture.hasPrinted || !self.hasConcluded { capture.catchUp() }
        self.hasConcluded = true
    }

    enum Received: Equatable { case open, closed }

    /// Reads once and handles what has come: a flood leaves its neighbours their turn.
    func receive(now: Timestamp) throws(FrameError) -> Received {
        guard let descriptor = self.descriptors?.fromWorker else { return .closed }
        guard self.intake != .held else { return .open }
        switch self.reader.fill(from: descriptor) {
        case .nothing: return .open
        case .closed: return .closed
        case .some:
            try self.consume(now: now)
            return .open
        }
    }

    /// Whether the pipe or the buffer still holds something, or the end.
    var hasUnread: Bool {
        guard let descriptor = self.descriptors?.fromWorker else { return false }
        return apus_channel_waiting(descriptor) > 0
    }

    private func consume(now: Timestamp) throws(FrameError) {
        var isFresh = self.partSince == nil
        let shard = self.shard
        while let (header, payload) = try self.reader.next() {
            isFresh = true
            try shard.received(header, payload, from: self, now: now)
            if self.machine.state == .dead { return }
        }
        if self.reader.hasPart {
            if isFresh { self.partSince = now }
        } else {
            self.partSince = nil
        }
    }

    /// Reads no more until ``goOn(now:)``. What was read already is handled.
    func hold() {
        guard self.intake == .open else { return }
        self.intake = .held
        self.readWatch?.watch([])
    }

    func goOn(now: Timestamp) {
        guard self.intake == .held else { return }
        self.intake = .open
        // It could not send the rest meanwhile.
        if self.partSince != nil { self.partSince = now }
        if self.machine.state != .dead { self.readWatch?.watch(.readable) }
    }

    func readToItsEnd() { self.intake = .last }

    // MARK: writing

    /// Frames gathered so far go to the pipe; what it does not take waits for it.
    /// - Returns: false when the worker reads no more, or too slowly.
    func flush() -> Bool {
        guard let descriptor = self.descriptors?.toWorker, self.machine.state != .dead else { return true }
        let waiting = self.output.count
        switch self.output.flush(to: descriptor) {
        case .everything:
            self.unwritten.removeAll(keepingCapacity: true)
            self.writeWatch?.watch([])
            return true
        case .part:
            self.unwritten.removeAll(keepingCapacity: true)
            self.writeWatch?.watch(.writable)
            return self.output.count <= Limits.Host.outputBufferBytes
        case .closed:
            if self.output.count == waiting { self.neverSent = self.unwritten }
            self.unwritten.removeAll()
            self.writeWatch?.watch([])
            // Its end will tell more than the broken pipe does.
            self.output.release()
            return true
        }
    }

    /// Enough frames go to the pipe while others are still being made. Whatever else there is to find, the flush at the turn's end finds it.
    func writeAhead() {
        guard let descriptor = self.descriptors?.toWorker, self.machine.state != .dead else { return }
        if self.output.writeAhead(to: descriptor) { self.unwritten.removeAll(keepingCapacity: true) }
    }

    func takeNeverSent() -> [UInt64] {
        defer { self.neverSent = [] }
        return self.neverSent
    }

    /// Appends a frame whose payload is at hand.
    func send(_ type: FrameType, flags: FrameFlags = [], stream: UInt64 = 0, payload: [UInt8] = []) {
        let header = FrameHeader(type, flags: flags, stream: stream, length: payload.count)
        let target = self.output.extend(by: FrameHeader.byteCount + payload.count)
        guard let base = target.baseAddress else { return }
        header.write(to: base)
        payload.withUnsafeBytes {
            UnsafeMutableRawBufferPointer(rebasing: target[FrameHeader.byteCount...]).copyMemory(from: $0)
        }
    }

    /// Sends data as a sealed memory descriptor.
    /// - Returns: false when that cannot be now; the data then goes through the pipe.
    func sendSealed(_ data: UnsafeRawBufferPointer, stream: UInt64) -> Bool {
        guard let socket = self.descriptors?.descriptors else { return false }
        let memory = apus_channel_sealed_memory(data.baseAddress, data.count)
        guard memory >= 0 else { return false }
        defer { _ = Glibc.close(memory) }
        return apus_channel_send_descriptor(socket, memory, stream) == 0
    }

    // MARK: secrets

    func take(_ secrets: consuming WorkerSecrets) {
        self.masks = secrets.masks
        self.budget.masks = secrets.masks
        self.secrets = consume secrets
    }

    func take(injections: consuming WorkerSecrets) {
        self.masks = injections.masks
        self.budget.masks = injections.masks
        self.injections = consume injections
    }

    /// - Returns: a descriptor that the caller owns, -1 for none.
    func takeInjections() -> CInt {
        guard let injections = self.injections.take() else { return -1 }
        return injections.duplicate() ?? -1
    }

    /// Lets go of the function's secrets, and before that sends them on descriptor 5, as stream 0, to a worker that receives there.
    /// - Returns: false when that cannot be.
    func sendSecrets(isReceiving: Bool) -> Bool {
        guard let secrets = self.secrets.take() else { return true }
        guard isReceiving else { return true }
        guard let socket = self.descriptors?.descriptors else { return false }
        return apus_channel_send_descriptor(socket, secrets.memory, 0) == 0
    }

    // MARK: what others see

    func snapshot() -> InstanceSnapshot {
        InstanceSnapshot(
            worker: self.worker, function: self.function.function.name, revision: self.function.function.revision,
            state: self.instanceState, since: self.stateSince, inFlight: self.attempts.count,
            runtime: self.machine.runtime,
            isolation: self.isolation, isFetching: self.isWaitingForFiles)
    }

    private var instanceState: InstanceSnapshot.State {
        switch self.machine.state {
        case .launching, .greeting, .loading: .starting
        case .ready: self.attempts.isEmpty ? .ready : .busy
        case .asleep: .sleeping
        case .draining: .draining
        case .failed, .left, .dead: .stopped
        }
    }
}

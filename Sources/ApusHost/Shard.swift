public import ApusCore
internal import ApusEngine
public import ApusLoop
internal import Glibc

/// One loop, one engine value, and the functions whose hash falls to it: performs what the engine decides.
///
/// Every method is called on the loop's thread unless it says otherwise. Callbacks only gather: once per turn of the
/// loop the shard takes the engine's actions, performs them, writes to its workers and to the log.
public final class Shard: @unchecked Sendable {
    // SAFETY: confined to the thread of `loop`; references cross to other threads only to come back by `loop.post`.

    public let loop: EventLoop
    let log: any EventLog
    let launcher: ForkingLauncher
    let configuration: ShardConfiguration
    private let clock = SystemClock()

    var engine: Engine
    public internal(set) var statistics = ShardStatistics()

    var functions: [FunctionID: FunctionState] = [:]
    var triggers: [TriggerID: TriggerState] = [:]
    var followed: [TopicName: FollowedTopic] = [:]
    var channels: [WorkerID: WorkerChannel] = [:]
    var pooled = PooledWorkers()
    var workers: [LaunchTicket: WorkerChannel] = [:]
    var requests: [RequestID: PendingRequest] = [:]
    var nextRequest: UInt64 = 1

    var activities: [FunctionID: FunctionActivity] = [:]
    /// Of functions that are gone: their last workers may still be there, and what they used is told once more.
    var leftActivities: [FunctionActivity] = []
    var notes = DeliveryNotes()
    var openTraces: [Delivery: DeliveryTrace] = [:]
    /// What the next write settles and the one under way, where somebody wants to hear of it.
    var settlements: [Settlement] = []
    var settling: [Settlement] = []

    var commits = CommitPipelines()
    /// The shares that are worked here.
    var held: HeldShares
    var shareWatch: ShareWatch?
    /// Held, but the log could not be asked where their lanes stand.
    var unopened: [Share: UInt64] = [:]
    /// Which partitions are worked here is another than the log was told.
    var followsChanged = false
    /// Some of them are to be asked for without waiting for housekeeping.
    var opensNow = false
    /// Subscriptions that go on after a pause.
    var resumptions: [TriggerID: Resumption] = [:]
    /// Functions that go to another class.
    var classChanges: [FunctionID: ClassChange] = [:]
    /// Lanes that another class has still, and the shares whose lanes are looked at again.
    var heldBackSince: [LaneID: Timestamp] = [:]
    var heldBack: [Share: HeldBack] = [:]
    /// Lanes whose keys are being read, each in the term of its share; nil where nobody shares the work.
    var keyReadings: [LaneID: UInt64?] = [:]
    /// Steps of those that found no thread, or no answer.
    var waitingReadings: [(KeyReading, LaneID, UInt64?)] = []
    var lostDeliveries: [LostDelivery] = []
    /// How many more of them wait for their records.
    var lostAwaited = 0
    /// Dispatches that wait for their records.
    var awaited: Set<StreamID> = []
    /// Why the last write failed; nil when it did not.
    var writeFailure: ApusError?
    /// Triggers with outputs to a topic that is not there.
    var refusals: [TriggerID: TopicName] = [:]
    /// Triggers with dead letters that are not known to be on the log.
    var unwrittenDeadLetters: Set<TriggerID> = []
    /// Triggers that are replays, and until when each of them that was told to have ended is not told of again.
    var replays: Set<TriggerID> = []
    var replaysToldUntil: [TriggerID: Timestamp] = [:]
    /// Told when the write under way is over.
    var waitingForWrite: [() -> Void] = []
    var queuedDispatches: [QueuedDispatch] = []
    var claimed = ClaimedDispatches()
    var places: [RecordPlace] = []
    /// The last ones that a dispatch named.
    var lastChannel: WorkerChannel?
    var lastTrigger: TriggerState?
    /// What went away in this turn; queued dispatches may still name it.
    var retired: [AnyObject] = []
    var unflushed: [WorkerChannel] = []
    private var actions: [EngineAction] = []

    private var hook: TurnHook?
    private var nudge: LoopNudge?
    private(set) var aheadStarts: AheadStarts?
    private var timer: LoopTimer?
    private var housekeeper: LoopTimer?
    private var isHousekeeping = false
    private var armedFor: Timestamp?
    /// When the last frames of this turn were read: near enough for the turn that acts on them.
    var turnTime: Timestamp?
    var drain: DrainState?
    var isClosed = false

    /// - Parameter launcher: its `onExit` belongs to the shard from here on.
    public init(
        loop: EventLoop, log: any EventLog, launcher: any WorkerLauncher,
        configuration: ShardConfiguration = ShardConfiguration()
    ) {
        self.loop = loop
        self.log = log
        let logSink = configuration.logSink
        let clock = self.clock
        self.launcher = ForkingLauncher(launcher, loop: loop) { fork, level, text in
            logSink(
                LogLine(
                    function: fork.function, revision: fork.revision, worker: Self.nobody, level: level, text: text,
                    isCut: false, droppedBefore: 0, time: clock.now))
        }
        self.configuration = configuration
        self.held = HeldShares(log.sharing)
        self.engine = Engine(configuration: configuration.engine, seed: configuration.seed)
        self.launcher.onExit = { [unowned self] ticket, exit in self.exited(ticket, exit) }
        // SAFETY: the hook is closed in `closeHandles`; the shard's owner keeps the shard until then.
        self.hook = TurnHook(loop) { [unowned(unsafe) self] in self.turn() }
        self.nudge = LoopNudge(loop)
        self.aheadStarts = AheadStarts(loop)
        self.timer = LoopTimer(loop) { [unowned self] in self.armedFor = nil }
        self.housekeeper = LoopTimer(loop) { [unowned self] in self.keepHouse() }
        self.watchShares()
    }

    /// What a function's zygote prints is no worker's.
    private static let nobody = WorkerID(rawValue: 0)

    /// The server's clock as this shard reads it.
    public var now: Timestamp { self.clock.now }
    public var attemptsInFlight: Int { self.engine.attemptsInFlight }
    /// Triggers with outputs are not dispatched: the log is short of room, or too many outputs wait for it.
    public var isLogShort: Bool { self.commits.isShort }

    /// Makes sure that a turn comes before the loop waits again.
    func requestTurn() { self.nudge?.request() }

    deinit { precondition(self.hook == nil, "a shard is drained before it goes") }

    // MARK: a turn

    /// Rounds of actions that one turn performs before descriptors get theirs.
    private static let roundsPerTurn = 64

    private func turn() {
        guard !self.isClosed else { return }
        self.nudge?.cancel()
        self.statistics.turns += 1
        let now = self.turnTime ?? self.now
        self.turnTime = nil
        if let due = self.engine.nextDue, due <= now { self.engine.advance(to: now) }
        var rounds = 0
        repeat {
            self.engine.takeActions(into: &self.actions)
            if self.actions.isEmpty { break }
            self.performActions(now: now)
            rounds += 1
        } while rounds < Self.roundsPerTurn
        if rounds == Self.roundsPerTurn { self.requestTurn() }
        self.retired.removeAll()
        self.flushChannels()
        self.appendDeadLetters(now: now)
        self.commit(now: now)
        self.advanceLeaving(now: now)
        if !self.classChanges.isEmpty { self.advanceClassChanges(now: now) }
        if !self.resumptions.isEmpty { self.advanceResumptions(now: now) }
        if self.opensNow { self.openWhatIsLeft() }
        if self.followsChanged { self.narrowFollows() }
        self.armTimer(now: now)
        self.advanceDrain(now: now)
        self.pollBriefly()
    }

    /// With one attempt in flight the answer is often a few microseconds away: giving the CPU to the worker and looking
    /// again is quicker than waiting for the descriptor, which costs a wake-up and a system call more.
    private func pollBriefly() {
        guard self.configuration.yields > 0, self.engine.attemptsInFlight == 1, let channel = self.lastChannel,
            channel.attempts.count == 1
        else { return }
        for _ in 0..<self.configuration.yields {
            sched_yield()
            self.readable(channel)
            guard channel.attempts.count == 1 else { return self.requestTurn() }
        }
    }

    private func performActions(now: Timestamp) {
        // The array goes out and comes back, so that its storage is kept and nothing else sees it half done.
        var actions: [EngineAction] = []
        swap(&actions, &self.actions)
        for action in actions { self.perform(action, now: now) }
        self.flushDispatches(now: now)
        actions.removeAll(keepingCapacity: true)
        swap(&actions, &self.actions)
    }

    private func perform(_ action: EngineAction, now: Timestamp) {
        switch action {
        case .dispatch(let dispatch):
            self.queue(dispatch, now: now)
        case .dispatchBatch(let items):
            self.flushDispatches(now: now)
            self.dispatchBatch(items, now: now)
        case .fetch(let trigger, let partition, let from, let maxRecords):
            self.fetch(trigger, partition: partition, from: from, maxRecords: maxRecords, now: now)
        case .ledgerDirty(let group):
            self.commits[group].ledgerIsDirty(now: now)
        case .start(let worker, let function, _):
            self.start(worker, function, now: now)
        case .stop(let worker):
            self.flushDispatches(now: now)
            self.stop(worker, now: now)
        case .cancel(let worker, let stream):
            self.flushDispatches(now: now)
            self.cancel(worker, stream)
        case .kill(let worker, let reason):
            self.flushDispatches(now: now)
            self.kill(worker, reason)
        case .fail(let request, let failure):
            guard let pending = self.requests.removeValue(forKey: request) else { return }
            self.noteUnanswered(request, pending, failure, .failed, now: now)
            pending.sink.onFailure(failure)
        case .waits(let request, let span):
            self.requests[request]?.sink.onWaiting(span)
        case .demand(let function, let running, let queued):
            self.configuration.pool?(.demand(function, running: running, queued: queued))
        case .occupied(let worker, let running, let uses):
            self.occupied(worker, running: running, uses: uses)
        case .deadLetter(let delivery, let attempts, let failure):
            self.noteGivenUp(delivery, attempts: attempts, failure, .deadLettered, now: now)
            self.lostDeliveries.append(LostDelivery(delivery: delivery, attempts: attempts, failure: failure))
        case .dropped(let delivery, let attempts, let failure):
            self.statistics.dropped += 1
            self.noteGivenUp(delivery, attempts: attempts, failure, .dropped, now: now)
            self.finishTrace(of: delivery, failure, at: now)
        }
    }

    // MARK: time

    /// The timer may stand too early, never too late: deadlines move with every event, and setting it costs.
    private func armTimer(now: Timestamp) {
        guard var due = self.engine.nextDue ?? self.commits.nextDue else {
            self.keepAwake()
            return
        }
        if let commit = self.commits.nextDue, commit < due { due = commit }
        if let armed = self.armedFor, armed <= due, armed > now { return self.keepAwake() }
        let wait = max(0, (due - now).microseconds)
        self.armedFor = due
        self.timer?.start(milliseconds: UInt64((wait + 999) / 1_000))
        self.keepAwake()
    }

    /// Channels and the log are looked at while there is anything to look at, so that an idle shard costs nothing.
    private func keepAwake() {
        let isNeeded =
            !self.channels.isEmpty || self.commits.isWaiting || self.drain != nil || !self.unopened.isEmpty
            || !self.waitingReadings.isEmpty || !self.heldBack.isEmpty || !self.classChanges.isEmpty
            || !self.replays.isEmpty || !self.resumptions.isEmpty
            || !self.refusals.isEmpty
        guard isNeeded != self.isHousekeeping else { return }
        self.isHousekeeping = isNeeded
        if isNeeded {
            self.housekeeper?.start(
                milliseconds: Limits.Host.housekeepingMilliseconds, repeating: Limits.Host.housekeepingMilliseconds)
        } else {
            self.housekeeper?.stop()
        }
    }

    private func keepHouse() {
        let now = self.now
        for channel in Array(self.channels.values) { self.look(after: channel, now: now) }
        self.noteInvocations(now: now)
        self.openWhatIsLeft()
        self.openWhatWasHeldBack(now: now)
        self.readKeysThatAreLeft()
        if !self.classChanges.isEmpty || !self.resumptions.isEmpty { self.requestTurn() }
        self.endReplays()
        if !self.refusals.isEmpty { self.lookForRefused(now: now) }
        self.watchRoom(now: now)
    }

    // MARK: the end

    /// Closes what the shard holds of the loop. Workers must be gone: see ``drain(until:completion:)``.
    func closeHandles() {
        self.isClosed = true
        self.unwatchShares()
        self.launcher.close()
        self.hook?.close()
        self.nudge?.close()
        self.aheadStarts?.close()
        self.timer?.close()
        self.housekeeper?.close()
        self.aheadStarts = nil
        self.hook = nil
        self.nudge = nil
        self.timer = nil
        self.housekeeper = nil
    }
}

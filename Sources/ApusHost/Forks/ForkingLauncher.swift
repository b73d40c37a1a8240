internal import ApusCore
internal import ApusLoop
internal import Glibc

/// Between a shard and the nursery: launches whose order allows it become processes that the function's zygote forks; all others,
/// and those that a zygote cannot or can no longer make, have a sandbox of their own. Loop thread only.
final class ForkingLauncher: WorkerLauncher {
    /// What is known of a function whose calls may share a sandbox.
    private struct Function {
        var order: LaunchOrder
        var zygote: FunctionZygote?
        var lastLaunch: Timestamp?
        /// No zygote is started before it.
        var blockedUntil = Timestamp.zero
    }

    var onExit: ((LaunchTicket, WorkerExit) -> Void)?

    private let inner: any WorkerLauncher
    private let loop: EventLoop
    private let clock: () -> Timestamp
    private let onLine: (ForkOrder, LogPayload.Level, [UInt8]) -> Void
    private var functions: [ResourceName: Function] = [:]
    /// By the tickets of their sandboxes; those that retire are here only.
    private var zygotes: [LaunchTicket: FunctionZygote] = [:]
    private var calls: [LaunchTicket: (zygote: FunctionZygote, number: UInt64)] = [:]
    /// Told to end; kept until their turn of the loop is over.
    private var gone: [FunctionZygote] = []
    private var starting = 0
    private var lastTicket: UInt64 = 0
    private var timer: LoopTimer?
    private var isTimerRunning = false

    /// Tickets of the nursery's client never get there.
    private static let firstTicket: UInt64 = 1 << 63

    init(
        _ inner: any WorkerLauncher, loop: EventLoop, clock: @escaping () -> Timestamp = { SystemClock().now },
        onLine: @escaping (ForkOrder, LogPayload.Level, [UInt8]) -> Void
    ) {
        self.inner = inner
        self.loop = loop
        self.clock = clock
        self.onLine = onLine
        self.timer = LoopTimer(loop) { [unowned self] in self.keepHouse() }
        // The last sandboxes may end after their server has closed all it has.
        inner.onExit = { [weak self] ticket, exit in self?.exited(ticket, exit) }
    }

    var now: Timestamp { self.clock() }

    // MARK: launching

    func hasFiles(for order: LaunchOrder) -> Bool { self.inner.hasFiles(for: order) }

    func launch(_ order: LaunchOrder, _ completion: @escaping (Result<LaunchedWorker, ApusError>) -> Void) {
        guard let fork = order.fork else { return self.inner.launch(order, completion) }
        let now = self.now
        var function = self.functions[fork.function] ?? Function(order: order)
        if function.order != order {
            // Another revision, environment or bound: nothing of the old one is forked any more.
            function.zygote?.retire()
            function = Function(order: order)
        }
        // The first call of a function that was not used for long is not held up by a zygote that loads the same at its side.
        let isUsed = function.lastLaunch.map { now - $0 < Limits.Host.zygoteIdle } ?? false
        function.lastLaunch = now
        self.functions[fork.function] = function
        self.awake()
        if let zygote = function.zygote, zygote.machine.isSpent(now: now) {
            zygote.retire()
            self.functions[fork.function]?.zygote = nil
        }
        if isUsed, self.functions[fork.function]?.zygote == nil, now >= function.blockedUntil {
            self.start(order, fork)
        }
        let call = FunctionZygote.Waiting(order: order, completion: completion)
        guard let zygote = self.functions[fork.function]?.zygote, zygote.hasRoom else { return self.launchAlone(call) }
        zygote.add(call, now: now)
    }

    /// In a sandbox of its own.
    func launchAlone(_ call: FunctionZygote.Waiting) { self.inner.launch(call.order.alone, call.completion) }

    private func start(_ order: LaunchOrder, _ fork: ForkOrder) {
        guard self.zygotes.count + self.starting < Limits.Host.zygotes else { return }
        let zygote = FunctionZygote(order, fork, owner: self, now: self.now)
        self.functions[fork.function]?.zygote = zygote
        self.starting += 1
        self.inner.launch(order.zygote(fork)) { [weak self] result in
            guard let self else { return }
            self.starting -= 1
            switch result {
            case .failure(let error): self.end(zygote, "its sandbox could not be made: \(error.message)", nil)
            case .success(let launched):
                self.zygotes[launched.ticket] = zygote
                let isWatched = zygote.adopt(launched, loop: self.loop)
                if !isWatched { self.failed(zygote, "its descriptors cannot be watched") }
                // It may have been given up, or the launcher closed, while it was made.
                if zygote.machine.state == .dead || self.timer == nil { self.inner.kill(launched.ticket) }
            }
        }
    }

    func nextTicket() -> LaunchTicket {
        self.lastTicket += 1
        return LaunchTicket(rawValue: Self.firstTicket + self.lastTicket)
    }

    func kill(_ ticket: LaunchTicket) {
        guard let call = self.calls[ticket] else { return self.inner.kill(ticket) }
        call.zygote.kill(call.number, now: self.now)
    }

    // MARK: what zygotes come to

    func forked(
        _ zygote: FunctionZygote, _ number: UInt64, _ worker: LaunchedWorker, _ completion: FunctionZygote.Completion
    ) {
        self.calls[worker.ticket] = (zygote, number)
        completion(.success(worker))
    }

    func ended(_ ticket: LaunchTicket, _ exit: WorkerExit) {
        self.calls[ticket] = nil
        self.onExit?(ticket, exit)
    }

    /// It said itself that it cannot serve: so it is for as long as the function stays as it is, or its loading may go well later.
    func refused(_ zygote: FunctionZygote, _ error: ErrorPayload) {
        let isFinal = error.code == Self.cannotFork
        let text =
            isFinal
            ? "`sandbox.calls: process` has no effect, each call has a sandbox of its own: \(error.message)"
            : "loading the function for its calls to share failed, each has a sandbox of its own: \(error.message)"
        self.log(zygote, .warning, Array(clipped(text, to: Limits.Host.messageBytes).utf8))
        self.block(zygote, for: isFinal ? Limits.Host.zygoteRefusal : Limits.Host.zygoteBackoff)
        self.stop(zygote)
    }

    /// What a zygote says that must not be forked.
    private static let cannotFork = "cannot_fork"

    /// It did what it may not, or not what it must: its sandbox ends, and with it every call in it.
    func failed(_ zygote: FunctionZygote, _ reason: String) {
        guard zygote.machine.state != .dead else { return }
        if zygote.machine.state != .refused {
            self.log(zygote, .warning, Array("the process that forks this function's calls was ended: \(reason)".utf8))
            self.block(zygote, for: Limits.Host.zygoteBackoff)
        }
        self.stop(zygote)
    }

    private func stop(_ zygote: FunctionZygote) {
        zygote.silence()
        self.drop(zygote)
        // What waits goes on elsewhere when the sandbox is verified empty.
        if let ticket = zygote.ticket { self.inner.kill(ticket) }
    }

    private func drop(_ zygote: FunctionZygote) {
        let name = zygote.fork.function
        if self.functions[name]?.zygote === zygote { self.functions[name]?.zygote = nil }
    }

    private func block(_ zygote: FunctionZygote, for span: TimeSpan) {
        let name = zygote.fork.function
        if self.functions[name]?.order == zygote.order { self.functions[name]?.blockedUntil = self.now + span }
    }

    func log(_ zygote: FunctionZygote, _ level: LogPayload.Level, _ text: [UInt8]) {
        self.onLine(zygote.fork, level, text)
    }

    // MARK: ends

    private func exited(_ ticket: LaunchTicket, _ exit: WorkerExit) {
        guard let zygote = self.zygotes.removeValue(forKey: ticket) else {
            self.onExit?(ticket, exit)
            return
        }
        self.end(zygote, "its process ended", exit)
    }

    /// Its sandbox is empty, or never was: calls that ran are over, those that waited have one of their own.
    private func end(_ zygote: FunctionZygote, _ reason: String, _ exit: WorkerExit?) {
        if zygote.machine.state != .dead {
            self.log(zygote, .warning, Array("the process that forks this function's calls is gone: \(reason)".utf8))
            self.block(zygote, for: Limits.Host.zygoteBackoff)
        }
        self.drop(zygote)
        let calls = zygote.takeCalls()
        zygote.close()
        self.gone.append(zygote)
        for ticket in calls.running {
            self.ended(ticket, WorkerExit(code: nil, signal: SIGKILL, isOutOfMemory: exit?.isOutOfMemory ?? false))
        }
        for call in calls.waiting { self.launchAlone(call) }
        self.awake()
    }

    // MARK: time

    private func awake() {
        guard !self.isTimerRunning else { return }
        self.isTimerRunning = true
        self.timer?.start(
            milliseconds: Limits.Host.housekeepingMilliseconds, repeating: Limits.Host.housekeepingMilliseconds)
    }

    private func keepHouse() {
        self.gone = []
        let now = self.now
        let starting = self.functions.values.compactMap(\.zygote).filter { $0.ticket == nil }
        for zygote in Array(self.zygotes.values) + starting where zygote.machine.isOverdue(now: now) {
            self.failed(zygote, "it did not answer in time")
        }
        for zygote in self.zygotes.values where zygote.machine.isEmpty {
            let isIdle = zygote.machine.state == .ready && now - zygote.machine.lastUse >= Limits.Host.zygoteIdle
            if isIdle || zygote.machine.state == .retiring { self.stop(zygote) }
        }
        self.functions = self.functions.filter { _, function in
            function.zygote != nil || now < function.blockedUntil
                || function.lastLaunch.map { now - $0 < Limits.Host.zygoteIdle } ?? false
        }
        guard self.functions.isEmpty, self.zygotes.isEmpty, self.starting == 0 else { return }
        self.isTimerRunning = false
        self.timer?.stop()
    }

    /// Ends every zygote. Calls are over by now.
    func close() {
        for zygote in self.zygotes.values {
            zygote.close()
            if let ticket = zygote.ticket { self.inner.kill(ticket) }
        }
        self.functions = [:]
        self.timer?.close()
        self.timer = nil
    }
}

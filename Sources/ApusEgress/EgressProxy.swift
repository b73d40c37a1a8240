public import ApusCore
public import ApusCrypto
public import ApusLoop
internal import CShims
internal import Glibc

/// One worker's way out: its listening socket, what it may have, and its connections. Loop thread only.
final class EgressLease {
    let id: UInt64
    let policy: EgressPolicy
    let listener: CInt
    var window: ByteWindow
    var budget = RecordBudget()
    var watch: DescriptorWatch?
    var connections: [ObjectIdentifier: EgressConnection] = [:]

    init(_ id: UInt64, _ policy: EgressPolicy, listener: CInt, window: ByteWindow) {
        self.id = id
        self.policy = policy
        self.listener = listener
        self.window = window
    }
}

/// Takes connections from the listening sockets of workers and makes those that their policies allow. Loop thread only.
///
/// A worker is known by its socket, which lies in a network namespace where nobody else is: there is nothing to say who one is, and so
/// nothing to lie about.
public final class EgressProxy {
    let loop: EventLoop
    let resolver: any NameResolving
    let trust: TLSTrust
    let settings: EgressSettings
    var window: ByteWindow
    private let clock: () -> Timestamp
    private let sink: (EgressRecord) -> Bool
    private var leases: [UInt64: EgressLease] = [:]
    private var timer: LoopTimer?
    /// Of all workers.
    public private(set) var connections = 0
    private var isFull = false

    /// - Parameter sink: takes a record; false when it could not.
    public init(
        _ loop: EventLoop, resolver: any NameResolving, trust: TLSTrust, settings: EgressSettings,
        clock: @escaping () -> Timestamp = EgressProxy.systemClock(), sink: @escaping (EgressRecord) -> Bool
    ) {
        self.loop = loop
        self.clock = clock
        self.resolver = resolver
        self.trust = trust
        self.settings = settings
        self.sink = sink
        self.window = ByteWindow(most: settings.totalBytesPerHour, now: clock())
        self.timer = LoopTimer(loop) { [weak self] in self?.sweep() }
        self.timer?.start(milliseconds: Limits.Egress.sweepMilliseconds, repeating: Limits.Egress.sweepMilliseconds)
    }

    var now: Timestamp { self.clock() }

    public static func systemClock() -> () -> Timestamp {
        let clock = SystemClock()
        return { clock.now }
    }

    /// Takes the listening socket.
    /// - Returns: false when it cannot be served.
    public func open(_ id: UInt64, _ access: NetworkAccess, values: [[UInt8]], listener: CInt) -> Bool {
        guard self.leases[id] == nil, self.leases.count < Limits.Egress.workers, values.count == access.inject.count,
            values.allSatisfy({ InjectedValues.isUsable($0) })
        else {
            Glibc.close(listener)
            return false
        }
        let lease = EgressLease(
            id, EgressPolicy(access: access, values: values), listener: listener,
            window: ByteWindow(most: self.settings.workerBytesPerHour, now: self.now))
        lease.watch = DescriptorWatch(self.loop, descriptor: listener) { [weak self, weak lease] _ in
            guard let self, let lease else { return }
            self.accept(lease)
        }
        guard lease.watch != nil else {
            Glibc.close(listener)
            return false
        }
        self.leases[id] = lease
        self.listen(lease)
        return true
    }

    /// Ends a worker's connections with it.
    public func close(_ id: UInt64) {
        guard let lease = self.leases.removeValue(forKey: id) else { return }
        lease.watch?.close()
        Glibc.close(lease.listener)
        for connection in Array(lease.connections.values) { connection.abort() }
    }

    public func stop() {
        for id in Array(self.leases.keys) { self.close(id) }
        self.timer?.close()
        self.timer = nil
    }

    // MARK: connections

    private func listen(_ lease: EgressLease) {
        let hasRoom = lease.connections.count < Limits.Egress.connectionsPerWorker && !self.isFull
        lease.watch?.watch(hasRoom ? .readable : [])
    }

    private func accept(_ lease: EgressLease) {
        while lease.connections.count < Limits.Egress.connectionsPerWorker, self.connections < Limits.Egress.connections
        {
            let descriptor = apus_hand_over_accept(lease.listener)
            guard descriptor >= 0, fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0 else {
                // Without descriptors there is no point in being told again at once; the next sweep looks.
                if ![-EAGAIN, -EINTR, -ECONNABORTED].contains(descriptor) { lease.watch?.watch([]) }
                return
            }
            var on: CInt = 1
            setsockopt(descriptor, CInt(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<CInt>.size))
            guard let connection = EgressConnection(lease, self, descriptor: descriptor) else { return }
            lease.connections[ObjectIdentifier(connection)] = connection
            self.connections += 1
        }
        self.listen(lease)
        if self.connections >= Limits.Egress.connections, !self.isFull {
            self.isFull = true
            for other in self.leases.values { self.listen(other) }
        }
    }

    func ended(_ connection: EgressConnection, of lease: EgressLease) {
        guard lease.connections.removeValue(forKey: ObjectIdentifier(connection)) != nil else { return }
        self.connections -= 1
        guard self.leases[lease.id] != nil else { return }
        if !self.isFull { self.listen(lease) }
    }

    private func sweep() {
        let now = self.now
        for lease in Array(self.leases.values) {
            for connection in Array(lease.connections.values) { connection.sweep(now: now) }
        }
        // Room is given back at a pace, not to the first that asks.
        self.isFull = self.connections >= Limits.Egress.connections
        for lease in self.leases.values { self.listen(lease) }
    }

    /// Runs something after the other connections had their turn.
    func later(_ work: @escaping () -> Void) {
        let work = LoopWork(run: work)
        self.loop.post { work.run() }
    }

    func report(_ record: EgressRecord, of lease: EgressLease) {
        guard let dropped = lease.budget.admit(now: self.now) else { return }
        var record = record
        record.dropped = dropped
        if !self.sink(record) { lease.budget.lost(dropped) }
    }
}

// SAFETY: made and run on one loop; it is only passed through the loop's inbox.
private struct LoopWork: @unchecked Sendable {
    let run: () -> Void
}

public import ApusCore
public import ApusEngine

/// Workers that the pool started, by what it calls them.
struct PooledWorkers {
    struct Started {
        var id: InstanceID
        /// What the worker is given of its devices.
        var nodes: [UInt32]
        var capabilities: [UInt32]
    }

    private var starting: [WorkerID: Started] = [:]
    private var workers: [InstanceID: WorkerID] = [:]

    subscript(instance: InstanceID) -> WorkerID? { self.workers[instance] }

    mutating func started(_ instance: Started, as worker: WorkerID) {
        self.starting[worker] = instance
        self.workers[instance.id] = worker
    }

    /// What the worker that is about to be launched was ordered as; nil for one of the engine's own.
    mutating func take(_ worker: WorkerID) -> Started? { self.starting.removeValue(forKey: worker) }
    mutating func ended(_ instance: InstanceID) { self.workers[instance] = nil }
}

/// What the pool has this shard do with its instances, and what the shard tells it of them.
extension Shard {
    /// - Parameter devices: those of an instance that starts.
    public func perform(_ action: PoolAction, devices: [DeviceDescription] = []) {
        let now = self.now
        switch action {
        // The pool's host does that by itself.
        case .fetch: return
        case .start(let instance, let function, _, _): self.start(instance, function, devices, now: now)
        case .load(let instance): self.load(instance)
        case .rest(let instance):
            if let worker = self.pooled[instance] { self.engine.rest(worker) }
        case .sleep(let instance): self.sleep(instance, now: now)
        case .wake(let instance): self.wake(instance, now: now)
        case .drain(let instance), .stop(let instance):
            guard let worker = self.pooled[instance] else { return self.gone(instance) }
            self.engine.retire(worker, now: now)
        }
        self.requestTurn()
    }

    /// How long the next start of a function may take, for those who wait for it.
    public func startTakes(_ function: FunctionID, _ span: TimeSpan) { self.engine.startTakes(function, span) }

    /// No device can ever take an instance of the function: who waits is told.
    public func refuseStart(of function: FunctionID, _ failure: Failure) {
        guard let state = self.functions[function] else { return }
        self.engine.refuseWaiting(function, failure)
        self.configuration.onStartFailed(state.function.name, failure)
        self.requestTurn()
    }

    private func start(_ instance: InstanceID, _ function: FunctionID, _ devices: [DeviceDescription], now: Timestamp) {
        guard let worker = self.engine.startPooled(function, now: now) else { return self.gone(instance) }
        self.pooled.started(
            PooledWorkers.Started(
                id: instance, nodes: devices.flatMap(\.nodes), capabilities: devices.flatMap(\.capabilities)),
            as: worker)
    }

    /// Its bytes on the devices are its own: the function's code may run.
    private func load(_ instance: InstanceID) {
        guard let channel = self.channel(of: instance), channel.isHeld else { return }
        channel.isHeld = false
        self.initialize(channel)
    }

    private func sleep(_ instance: InstanceID, now: Timestamp) {
        guard let worker = self.pooled[instance], let channel = self.channels[worker] else {
            return self.gone(instance)
        }
        guard channel.attempts.isEmpty, channel.machine.state == .ready, self.engine.sleep(worker, now: now) else {
            // It was given work before the order came, or leaves already.
            self.engine.stays(worker, now: now)
            self.configuration.pool?(.stayed(instance, running: channel.attempts.count))
            return
        }
        guard channel.machine.sleep(inFlight: 0) else {
            return self.end(channel, Failure(.workerCrashed, "the worker cannot sleep, and its room is needed"))
        }
        channel.stateSince = now
        channel.hookSince = now
        channel.send(.sleep)
        self.mustFlush(channel)
    }

    private func wake(_ instance: InstanceID, now: Timestamp) {
        guard let worker = self.pooled[instance], let channel = self.channels[worker] else {
            return self.gone(instance)
        }
        self.engine.wake(worker, now: now)
        guard channel.machine.wake() else { return }
        channel.stateSince = now
        channel.wokenAt = now
        channel.send(.wake)
        self.mustFlush(channel)
    }

    // MARK: what the pool is told

    func slept(_ channel: WorkerChannel, now: Timestamp) {
        channel.hookSince = nil
        guard let instance = channel.instance else { return }
        self.configuration.pool?(.report(instance, .slept))
    }

    func woken(_ channel: WorkerChannel, now: Timestamp) {
        guard let instance = channel.instance else { return }
        channel.stateSince = now
        channel.becameIdle(now: now)
        self.configuration.pool?(.report(instance, .woken))
        self.engine.woken(channel.worker, now: now)
    }

    func pooledReady(_ channel: WorkerChannel, canSleep: Bool) {
        guard let instance = channel.instance else { return }
        self.configuration.pool?(.sleeps(instance, canSleep))
        self.configuration.pool?(.report(instance, .loaded))
        self.configuration.pool?(.report(instance, .warmed))
    }

    func occupied(_ worker: WorkerID, running: Int, uses: Int) {
        guard let instance = self.channels[worker]?.instance else { return }
        self.configuration.pool?(.occupied(instance, running: running, uses: uses))
    }

    /// Its process is gone, or was never there.
    func unpool(_ channel: WorkerChannel) {
        guard let instance = channel.instance else { return }
        self.pooled.ended(instance)
        self.gone(instance)
    }

    func gone(_ instance: InstanceID) { self.configuration.pool?(.ended(instance)) }

    private func channel(of instance: InstanceID) -> WorkerChannel? {
        self.pooled[instance].flatMap { self.channels[$0] }
    }
}

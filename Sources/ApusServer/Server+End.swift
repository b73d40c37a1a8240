internal import ApusCore
internal import ApusLoop
internal import Synchronization

/// The end of a server: for good, or so that another one goes on in its place.
extension Server {
    /// Why it is not ready, a sentence each, as `/readyz` says; empty when it is.
    public var problems: [String] {
        Routes.problems(
            state: self.state.withLock { $0 }, log: self.log.status, projection: self.projection.failure)
            + self.vault.problems
    }

    /// What works and yet should not stay so.
    public var warnings: [String] {
        let budgets = self.configuration.pool.prices.warning(about: self.control.catalogue)
        return self.vault.warnings + (budgets.map { [$0] } ?? [])
    }

    /// Stops within a bound: callers are refused, what runs may finish, workers leave or are killed, what was decided is written.
    public func stop() {
        self.settle(drainSeconds: self.configuration.drainSeconds, keepsListeners: false)
        for runtime in self.shards { runtime.loop.stop() }
        self.endTelemetry()
    }

    /// Last: what the end itself brought is told too.
    public func endTelemetry() { self.exporter?.stop() }

    /// Lets go of the log and of every sandbox for the server that takes over. That one holds the listening sockets already: who
    /// connects from now on waits for it. Connections that there are get one more answer each, which closes them.
    ///
    /// Blocks until the log is free. Then comes ``linger(_:)``.
    public func release() {
        let done = self.shards.map { runtime in
            let slot = ResultSlot<Bool>()
            runtime.loop.post { runtime.handOver { slot.fill(true) } }
            return slot
        }
        for slot in done { _ = slot.take() }
        let seconds = min(self.configuration.drainSeconds, Limits.Server.handOverDrainSeconds)
        self.settle(drainSeconds: seconds, keepsListeners: true)
    }

    /// After ``release()``: closes each connection that is left with the answer to its next request, as long as any idle one is kept.
    /// - Parameter whenDone: called once for each shard, on its loop.
    public func linger(_ whenDone: @escaping @Sendable () -> Void) {
        for runtime in self.shards {
            runtime.loop.post { runtime.linger(milliseconds: Limits.Server.lingerMilliseconds, whenDone) }
        }
    }

    /// How many times ``linger(_:)`` says that it is done.
    public var shardCount: Int { self.shards.count }

    private func settle(drainSeconds: Int64, keepsListeners: Bool) {
        self.state.withLock { $0 = .stopping }
        // What would begin something new ends first.
        self.schedules.stop()
        self.upstreams.stop()
        self.invocations.stop()
        self.embedder.stop()
        let until = self.clock.now + .seconds(drainSeconds)
        self.log.end(within: .seconds(drainSeconds + Limits.Server.logEndSeconds))
        // Commands first: what they wait for is answered, so that none applies anything to a shard that has ended.
        self.sweeper.stop()
        self.sharedQueues.stop()
        self.projection.endWaiting()
        for runtime in self.shards { runtime.loop.post { runtime.endWaiting() } }
        self.weights.stop()
        self.deployer.stop()
        self.control.stop()
        self.bundleTopic?.stop()
        self.pool.close()
        let done = self.shards.map { runtime in
            let slot = ResultSlot<Bool>()
            runtime.loop.post { runtime.stop(until: until, keepsListener: keepsListeners) { slot.fill(true) } }
            return slot
        }
        for slot in done { _ = slot.take() }
        self.devices.stop()
        self.accounts.stop()
        self.tools.relay?.stop()
        self.tools.results.stop()
        self.callCounts.stop()
        self.egress.stop()
        self.backups.stop()
        self.issuers.stop()
        let projection = self.projection
        self.store.run { projection.stop() }
        self.store.stop()
        self.reader.stop()
        // What gathered while the last was written would find the log closed.
        self.audit.stop()
        // Writes under way are answered to the loops, which must be there to hear it.
        self.log.close()
    }
}

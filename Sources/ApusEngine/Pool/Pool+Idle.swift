public import ApusCore

/// How long what is idle stays.
extension Pool {
    /// It has nothing to do. A timer is set only where none is: one that fires too early looks again and is set anew, so
    /// that a busy instance costs no timer per use.
    mutating func becameIdle(_ slot: Int32, now: Timestamp) {
        let place = Int(slot)
        let function = Int(self.instances[place].function)
        self.instances[place].idleSince = now
        let plan = self.functions[function].plan
        var keep = self.policy.keep(
            function,
            KeepAliveView(
                wake: self.startEstimate(Int32(function), from: .host),
                cold: self.startEstimate(Int32(function), from: .disk),
                bytes: plan.deviceBytes, canSleep: plan.canSleep && self.instances[place].canSleep))
        if let device = plan.deviceIdle { keep.device = device }
        if let host = plan.hostIdle { keep.host = host }
        keep.host = Swift.max(keep.host, keep.device)
        if self.functions[function].isPrewarming, let expected = self.functions[function].prewarm,
            expected.contains(now)
        {
            // It came for a use that is still expected.
            keep.device = Swift.max(keep.device, expected.upperBound - now)
            keep.host = Swift.max(keep.host, keep.device)
            self.instances[place].keep = keep
            return self.setTimer(slot, due: now + keep.device)
        }
        self.instances[place].keep = keep
        self.setTimer(slot, due: now + keep.device)
        self.functions[function].prewarm = keep.prewarm.map { now + $0.lowerBound..<now + $0.upperBound }
        if let from = self.functions[function].prewarm?.lowerBound {
            self.setTimer(function: Int32(function), due: from)
        }
    }

    /// The function's next use is expected from now on, or was expected and did not come.
    private mutating func prewarm(_ slot: Int32, now: Timestamp) {
        let place = Int(slot)
        guard let expected = self.functions[place].prewarm, expected.lowerBound <= now else { return }
        let isExpected = expected.contains(now) && self.functions[place].running + self.functions[place].queued == 0
        self.functions[place].isPrewarming = isExpected
        if isExpected {
            self.setTimer(function: slot, due: expected.upperBound)
        } else {
            self.functions[place].prewarm = nil
        }
    }

    /// A start that was given its bytes has so long to become ready.
    mutating func watchStart(_ slot: Int32, now: Timestamp) {
        let estimate = self.startEstimate(self.instances[Int(slot)].function, from: self.instances[Int(slot)].startTier)
        self.instances[Int(slot)].startDeadline =
            now + Swift.max(Limits.Pool.startPatience, estimate * Limits.Pool.startEstimates)
        self.setTimer(slot, due: self.instances[Int(slot)].startDeadline)
    }

    private mutating func setTimer(_ slot: Int32, due: Timestamp) {
        guard due < self.instances[Int(slot)].timer, due.microseconds < TimeSpan.unbounded.microseconds else { return }
        self.instances[Int(slot)].timer = due
        self.timers.insert(Timer(due: due, instance: slot, generation: self.instances[Int(slot)].generation))
    }

    /// A function's own moment: its next start after a failure.
    mutating func setTimer(function: Int32, due: Timestamp) {
        self.timers.insert(Timer(due: due, instance: -1 - function, generation: 0))
    }

    /// Those who wait are looked at again when what is protected now is so no more, or a busy one may have become idle unseen.
    mutating func retryWaiting(now: Timestamp) {
        guard self.retryAt == .distantFuture else { return }
        self.retryAt = now + Limits.Pool.protection
        self.timers.insert(Timer(due: self.retryAt, instance: Self.retryTimer, generation: 0))
    }

    static let retryTimer = Int32.min

    /// The moment of ``nextTimer`` has come.
    public mutating func tick(now: Timestamp) {
        while let timer = self.timers.first, timer.due <= now {
            self.timers.popFirst()
            if timer.instance == Self.retryTimer {
                self.retryAt = .distantFuture
                self.serveWaiting(now: now)
                self.endTurns(now: now)
            } else if timer.instance < 0 {
                self.prewarm(-1 - timer.instance, now: now)
                self.balance(-1 - timer.instance, now: now)
            } else if self.instances[Int(timer.instance)].generation == timer.generation,
                self.instances[Int(timer.instance)].timer == timer.due
            {
                self.instances[Int(timer.instance)].timer = .distantFuture
                self.look(timer.instance, now: now)
            }
        }
    }

    private mutating func look(_ slot: Int32, now: Timestamp) {
        let instance = self.instances[Int(slot)]
        let isDue: (TimeSpan) -> Bool = { instance.idleSince + $0 <= now }
        switch instance.state {
        case .ready:
            guard isDue(instance.keep.device) else {
                return self.setTimer(slot, due: instance.idleSince + instance.keep.device)
            }
            let function = self.functions[Int(instance.function)]
            // What the manifest asks for stays, and is looked at again when it was used.
            guard function.capacity > function.plan.min || function.isRemoved else { return }
            if function.isPrewarming, let until = function.prewarm?.upperBound, until > now {
                return self.setTimer(slot, due: until)
            }
            self.leave(slot, .idle, now: now)
            if self.instances[Int(slot)].state == .sleeping {
                self.setTimer(slot, due: instance.idleSince + instance.keep.host)
            }
        case .sleeping:
            guard isDue(instance.keep.host) else {
                return self.setTimer(slot, due: instance.idleSince + instance.keep.host)
            }
            self.end(slot, .idle, now: now)
        case .starting:
            // One that waits for its bytes is late for no fault of its own.
            guard instance.passage == .settled || instance.state == .starting(.forking) else { return }
            // So is one whose weights come from elsewhere.
            guard instance.state != .starting(.fetching) else { return }
            guard instance.startDeadline <= now else { return self.setTimer(slot, due: instance.startDeadline) }
            self.failed(slot, now: now)
        case .absent, .busy, .draining, .stopped, .quarantined: break
        }
    }
}

internal import ApusCore

/// How many workers a function has: as many as its work asks for, at once; fewer only when less was asked for over a while.
extension Engine {
    /// Starts what the work asks for. What starts already counts as much as what is ready.
    mutating func scale(_ function: Int32, now: Timestamp) {
        let place = Int(function)
        if self.functions[place].plan.scale.isPooled {
            self.functions[place].told.foreseen = self.functions[place].times.growth(
                running: self.functions[place].running, now: now)
            return self.newsForPool(function)
        }
        let asked = self.functions[place].window.current
        let depth = self.noteDemand(function, now: now)
        // The end of another worker's work may leave one idle that was needed until now.
        if self.functions[place].window.current < asked { self.watchIdle(function, now: now) }
        let (perWorker, scale) = (self.functions[place].perWorker, self.functions[place].plan.scale)
        let isOwned = self.functions[place].plan.reuse == .principal
        guard self.isAsked(function), isOwned || self.functions[place].pool.total < scale.max,
            depth > 0 || scale.min > 0
        else { return }
        let blockedUntil = self.functions[place].pool.blockedUntil
        if blockedUntil > now { return self.setTimer(.pool, of: function, due: blockedUntil) }
        let starts =
            isOwned
            ? self.ownedStarts(function, now: now)
            : self.functions[place].pool.starts(depth: depth, perWorker: perWorker, scale: scale, now: now)
        for _ in 0..<starts {
            guard self.takePlace(function, now: now) else { return }
            self.start(function, now: now)
        }
    }

    private func isAsked(_ function: Int32) -> Bool {
        !self.isDraining && !self.functions[Int(function)].isRemoved && !self.functions[Int(function)].plan.isPaused
    }

    /// - Returns: the work that asks for workers.
    @discardableResult
    private mutating func noteDemand(_ function: Int32, now: Timestamp) -> Int {
        let place = Int(function)
        let depth = self.isAsked(function) ? self.depth(function, now: now) : 0
        let desired = WorkerPool.desired(
            depth: depth, perWorker: self.functions[place].perWorker, scale: self.functions[place].plan.scale)
        self.functions[place].window.record(desired, now: now)
        return depth
    }

    /// What is there to do, and what will be when a start is over.
    private mutating func depth(_ function: Int32, now: Timestamp) -> Int {
        let place = Int(function)
        let work = self.functions[place].ready + self.functions[place].running
        if self.functions[place].plan.reuse == .never {
            return max(work + self.pooled(function, now: now), self.functions[place].isWarming ? 1 : 0)
        }
        guard work > 0 else { return self.functions[place].isWarming ? 1 : 0 }
        return work + self.functions[place].times.growth(running: self.functions[place].running, now: now)
    }

    // MARK: the way down

    /// Over how long less must have been asked for: while a start takes long, workers are not given up lightly.
    private func cooldown(_ function: Int32) -> TimeSpan {
        let state = self.functions[Int(function)]
        return max(state.plan.scale.idle, state.times.start * 2)
    }

    /// Whether one worker less would still do.
    mutating func hasSpare(_ function: Int32, now: Timestamp) -> Bool {
        let place = Int(function)
        let scale = self.functions[place].plan.scale
        guard !scale.isPooled else { return false }
        if self.functions[place].plan.reuse == .never { return self.hasSpareOneShot(function, now: now) }
        // Nobody else can use a worker whose owner asks for nothing.
        if self.functions[place].plan.reuse == .principal { return self.functions[place].pool.live > scale.min }
        let wanted = self.functions[place].window.maximum(over: self.cooldown(function), now: now)
        return self.functions[place].pool.live > max(scale.min, wanted)
    }

    /// Sees to it that workers that stay idle are stopped.
    mutating func watchIdle(_ function: Int32, now: Timestamp) {
        let place = Int(function)
        let longest = self.functions[place].idle.last
        guard longest != FunctionState.noWorker, !self.functions[place].plan.scale.isPooled else { return }
        self.noteDemand(function, now: now)
        guard self.hasSpare(function, now: now) else {
            if let due = self.mayShrink(function, now: now) { self.setTimer(.idle, of: function, due: due) }
            return
        }
        let due = max(now, self.workers[Int(longest)].idleSince + self.functions[place].plan.scale.idle)
        self.setTimer(.idle, of: function, due: due)
    }

    /// When fewer workers may do.
    private func mayShrink(_ function: Int32, now: Timestamp) -> Timestamp? {
        let state = self.functions[Int(function)]
        if state.plan.reuse == .never { return self.poolMayShrink(function, now: now) }
        guard state.pool.live > max(state.plan.scale.min, state.window.current) else { return nil }
        return state.window.falls(over: self.cooldown(function))
    }

    mutating func stopIdle(_ function: Int32, now: Timestamp) {
        let place = Int(function)
        while self.hasSpare(function, now: now) {
            let longest = self.functions[place].idle.last
            guard longest != FunctionState.noWorker,
                self.workers[Int(longest)].idleSince + self.functions[place].plan.scale.idle <= now
            else { break }
            self.retire(longest, now: now)
        }
        self.watchIdle(function, now: now)
    }

    // MARK: what callers are told

    /// How long the next invocation may wait for its turn, by what starts and work were seen to take.
    func waitEstimate(_ function: Int32, now: Timestamp) -> TimeSpan {
        let state = self.functions[Int(function)]
        let own = state.times.start > .zero ? state.times.start : Limits.Engine.startPrior
        // The pool knows whether it wakes one or starts one, and what that takes.
        let start = state.plan.scale.isPooled ? state.told.start : own
        let began = state.workers.filter {
            self.workers[Int($0)].phase == .starting || self.workers[Int($0)].phase == .waking
        }
            .map { self.workers[Int($0)].idleSince }.min()
        var wait = TimeSpan.zero
        if state.pool.ready == 0 {
            let passed = began.map { (now - $0).microseconds } ?? 0
            wait = TimeSpan(microseconds: max(0, start.microseconds - passed))
        }
        let width = max(1, state.pool.live) * state.perWorker
        return wait + TimeSpan(microseconds: state.times.running.microseconds * Int64(state.queue.count / width))
    }
}

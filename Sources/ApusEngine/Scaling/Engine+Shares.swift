internal import ApusCore

/// Places for workers, where functions contend for them: by weight, and nobody waits while another holds more than its part.
extension Engine {
    private var workerCount: Int { self.workers.count - self.freeWorkers.count }

    /// Whether one more worker of the function may start now. Otherwise the function waits for its turn, and room is made.
    mutating func takePlace(_ function: Int32, now: Timestamp) -> Bool {
        let place = Int(function)
        if self.workerCount < self.configuration.workers, self.shares.isEmpty || self.shares.turn == function {
            self.shares.turn = nil
            self.shares.remove(function)
            self.functions[place].virtualTime = self.shares.advance(
                self.functions[place].virtualTime, weight: self.functions[place].plan.scale.weight)
            return true
        }
        self.shares.wait(function, time: self.functions[place].virtualTime)
        self.makeRoom(now: now)
        return false
    }

    /// A place came free: whoever was served least for its weight is next.
    mutating func serveShares(now: Timestamp) {
        while self.workerCount < self.configuration.workers, let next = self.shares.popFirst() {
            // It takes its place itself, as long as it still wants one.
            self.shares.turn = next
            self.scale(next, now: now)
        }
        self.shares.turn = nil
    }

    /// As many workers leave as functions wait: idle ones, the longest idle first, and then, of functions that hold more than their
    /// part, such as finish what they have. None is killed for it.
    private mutating func makeRoom(now: Timestamp) {
        var leaving = self.workers.count { $0.phase == .retiring || $0.phase == .stopping || $0.phase == .killed }
        while leaving < self.shares.count, let worker = self.longestIdle() ?? self.beyondItsPart() {
            self.retire(worker, now: now)
            leaving += 1
        }
    }

    private func longestIdle() -> Int32? {
        var longest: Int32?
        for slot in self.workers.indices where self.workers[slot].place == .idle && self.workers[slot].phase == .ready {
            let state = self.functions[Int(self.workers[slot].function)]
            guard !state.plan.scale.isPooled, state.pool.live > state.plan.scale.min, state.ready == 0 else { continue }
            if let known = longest, self.workers[Int(known)].idleSince <= self.workers[slot].idleSince { continue }
            longest = Int32(slot)
        }
        return longest
    }

    /// A worker of the function that holds the most beyond what its weight gives it, the one that runs least.
    private func beyondItsPart() -> Int32? {
        var weights = 0.0
        for function in self.functions.indices where self.isContending(Int32(function)) {
            weights += self.functions[function].plan.scale.weight
        }
        var most: (function: Int, excess: Double)?
        for function in self.functions.indices where self.functions[function].pool.ready > 0 {
            let scale = self.functions[function].plan.scale
            let part = Double(self.configuration.workers) * scale.weight / max(weights, scale.weight)
            let excess = Double(self.functions[function].pool.live) - max(part, Double(scale.min), 1)
            guard !scale.isPooled, excess >= 1, excess > most?.excess ?? 0 else { continue }
            most = (function, excess)
        }
        guard let most else { return nil }
        return self.functions[most.function].workers.filter { self.workers[Int($0)].phase == .ready }
            .min { self.workers[Int($0)].running < self.workers[Int($1)].running }
    }

    private func isContending(_ function: Int32) -> Bool {
        self.functions[Int(function)].pool.live > 0 || self.shares.contains(function)
    }
}

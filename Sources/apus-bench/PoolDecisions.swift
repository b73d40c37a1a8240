internal import ApusCore
internal import ApusEngine

/// A full fleet whose host and processes answer at once: what is left is the time that the pool takes to decide.
struct PoolDecisions {
    private var pool: Pool
    private var spans: [Double] = []
    private var actions: [PoolAction] = []
    private var transitions: [InstanceTransition] = []
    private var now = Timestamp.zero
    private var byFunction: [Int: InstanceID] = [:]
    private var chance = SeededGenerator(seed: 1)
    private let functions: Int

    static func plan(_ id: FunctionID) -> PoolFunction {
        PoolFunction(
            function: id, deviceBytes: 16 << 30, residueBytes: 1_200 << 20, hostBytes: 16 << 30, wakePrior: .seconds(3),
            coldPrior: .seconds(47))
    }

    init(functions: Int, devices: Int) {
        self.functions = functions
        self.pool = Pool(PoolConfiguration(hostMemory: Int64(devices) << 37))
        for _ in 0..<devices { self.pool.add(capacity: 80 << 30, now: .zero) }
        for function in 0..<functions {
            self.pool.deploy(Self.plan(FunctionID(rawValue: UInt32(function))), now: .zero)
        }
    }

    /// - Returns: the microseconds of each call of the pool, of the second half of the requests.
    mutating func run(_ requests: Int) -> [Double] {
        for request in 0..<requests {
            if request == requests / 2 { self.spans.removeAll(keepingCapacity: true) }
            self.now = self.now + .milliseconds(200)
            while let due = self.pool.nextTimer, due <= self.now {
                self.measure { pool, now in pool.tick(now: now) }
                self.perform()
            }
            // The square of a uniform number: some functions are used much more than others.
            let unit = Double.random(in: 0..<1, using: &self.chance)
            self.serve(min(self.functions - 1, Int(unit * unit * Double(self.functions))))
        }
        return self.spans
    }

    private mutating func serve(_ function: Int) {
        let id = FunctionID(rawValue: UInt32(function))
        self.measure { pool, now in pool.demand(id, running: 0, queued: 1, now: now) }
        self.perform()
        if let instance = self.byFunction[function] {
            self.measure { pool, now in pool.used(instance, now: now) }
            self.measure { pool, now in pool.demand(id, running: 1, queued: 0, now: now) }
            self.measure { pool, now in pool.released(instance, now: now) }
        }
        self.measure { pool, now in pool.demand(id, running: 0, queued: 0, now: now) }
        self.perform()
    }

    private mutating func measure(_ body: (inout Pool, Timestamp) -> Void) {
        let start = seconds()
        body(&self.pool, self.now)
        self.spans.append((seconds() - start) * 1e6)
    }

    private mutating func report(_ instance: InstanceID, _ report: Pool.Report) {
        self.measure { pool, now in pool.report(instance, report, now: now) }
    }

    private mutating func perform() {
        while true {
            self.pool.takeTransitions(into: &self.transitions)
            for transition in self.transitions {
                let function = Int(transition.function.rawValue)
                if transition.to == .ready { self.byFunction[function] = transition.instance }
                if transition.from == .ready, transition.to == .sleeping || transition.to == .stopped {
                    self.byFunction[function] = nil
                }
            }
            self.pool.takeActions(into: &self.actions)
            guard !self.actions.isEmpty else { return }
            for action in self.actions {
                switch action {
                case .fetch(let instance, _): self.report(instance, .fetched)
                case .start(let instance, _, _, _): self.report(instance, .forked)
                case .load(let instance):
                    self.report(instance, .loaded)
                    self.report(instance, .warmed)
                case .wake(let instance): self.report(instance, .woken)
                // Nothing runs when it decides.
                case .rest: break
                case .sleep(let instance): self.report(instance, .slept)
                case .drain(let instance): self.measure { pool, now in pool.drained(instance, now: now) }
                case .stop(let instance): self.report(instance, .returned)
                }
            }
        }
    }
}

public import ApusCore
public import ApusEngine

/// One trace under several policies: each is tuned by what it sees of the first half, and reported on the second.
public struct PolicyComparison: Sendable {
    public struct Row: Sendable {
        public var name: String
        public var report: FleetReport
        /// Seconds, of the mean delay of a start; shares from 0 to 1; device hours.
        public var delayInterval: ClosedRange<Double>?
        public var coldInterval: ClosedRange<Double>?
        public var idleInterval: ClosedRange<Double>?

        public var requests: Double { Double(max(1, self.report.requests)) }
        public var coldShare: Double { Double(self.report.cold) / self.requests }
        public var wakeShare: Double { Double(self.report.woken) / self.requests }
        public var warmShare: Double { Double(self.report.warm) / self.requests }
        public var idleHours: Double { Double(self.report.idle) / 3.6e9 }
        public var hostHours: Double { Double(self.report.asleep) / 3.6e9 }
        /// Of holding devices and host memory idle, in the currency of the prices by the hour.
        public func cost(deviceHour: Double, hostHour: Double) -> Double {
            self.idleHours * deviceHour + self.hostHours * hostHour
        }
    }

    public var fleet: FleetSimulation.Fleet
    public var arrivals: [Arrival]
    public var functions: Int

    public init(fleet: FleetSimulation.Fleet, arrivals: [Arrival], functions: Int) {
        self.fleet = fleet
        self.arrivals = arrivals
        self.functions = functions
    }

    /// Where the second half begins, by time.
    public var half: Timestamp { Timestamp(microseconds: (self.arrivals.last?.at.microseconds ?? 0) / 2) }

    /// - Throws: `internal` when the simulation breaks a promise of the pool, with the seed's run named by the policy.
    public func run(_ name: String, _ policy: KeepAliveChoice) throws(ApusError) -> Row {
        var simulation = FleetSimulation(
            self.fleet, arrivals: self.arrivals, functions: self.functions, policy: policy, countFrom: self.half)
        if let fault = simulation.run() { throw ApusError(.internal, "the policy \(name): \(fault)") }
        let report = simulation.report
        let counted = report.days.filter { $0.requests > 0 }
        return Row(
            name: name, report: report,
            delayInterval: Bootstrap.interval(counted) { days in
                let requests = days.reduce(0) { $0 + $1.requests }
                return Double(days.reduce(0) { $0 + $1.delay }) * 1e-6 / Double(max(1, requests))
            },
            coldInterval: Bootstrap.interval(counted) { days in
                Double(days.reduce(0) { $0 + $1.cold }) / Double(max(1, days.reduce(0) { $0 + $1.requests }))
            },
            idleInterval: Bootstrap.interval(counted) { days in Double(days.reduce(0) { $0 + $1.idle }) / 3.6e9 })
    }

    /// The policies that every comparison shows, beside those asked for: the common one, and what cannot be beaten.
    public func runAll(prices: KeepAlivePrices = KeepAlivePrices()) throws(ApusError) -> [Row] {
        [
            try self.run("FixedTTL 10m", .fixed(FixedTTL(device: .seconds(600)))),
            try self.run("Histogram", .histogram(HistogramPolicy())),
            try self.run("GreedyDual", .greedyDual(GreedyDual())),
            try self.run("RentOrBuy", .rentOrBuy(RentOrBuy(prices: prices))),
            try self.run("Oracle", .oracle(Oracle(functions: self.functions, prices: prices))),
        ]
    }
}

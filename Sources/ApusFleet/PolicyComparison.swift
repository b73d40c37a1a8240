public import ApusCore
public import ApusEngine

/// One trace under several policies: each learns from all that comes, is tuned on the first half and reported on the second.
public struct PolicyComparison {
    public struct Row: Sendable {
        public var name: String
        public var report: FleetReport
        /// Of the mean delay of a start, in seconds.
        public var delayInterval: ClosedRange<Double>?
        /// Shares from 0 to 1.
        public var coldInterval: ClosedRange<Double>?
        public var wakeInterval: ClosedRange<Double>?
        /// Device hours.
        public var idleInterval: ClosedRange<Double>?

        public var requests: Double { Double(max(1, self.report.requests)) }
        public var coldShare: Double { Double(self.report.cold) / self.requests }
        public var wakeShare: Double { Double(self.report.woken) / self.requests }
        public var warmShare: Double { Double(self.report.warm) / self.requests }
        public var idleHours: Double { Double(self.report.idle) / 3.6e9 }
        public var hostHours: Double { Double(self.report.asleep) / 3.6e9 }
    }

    /// What tuning keeps away from, in equal parts: of the idle device hours of FixedTTL 10 min, and of the requests, those that wait
    /// for a wake.
    static let idleShare = 0.5
    static let wakeShare = 0.4
    /// Values of a second of waiting that tuning tries, in seconds of holding one model on a device.
    static let tried: [Double] = [10, 20, 30, 40, 50, 56, 62, 68, 75, 82, 90, 100, 120, 150]

    public var fleet: FleetSimulation.Fleet
    public var arrivals: [Arrival]
    public var functions: Int
    public var prices = FleetPrices()
    /// Told how far a policy's run is, from 0 to 1, with its events until now.
    public var progress: ((String, Double, Int) -> Void)?

    public init(fleet: FleetSimulation.Fleet, arrivals: [Arrival], functions: Int) {
        self.fleet = fleet
        self.arrivals = arrivals
        self.functions = functions
    }

    /// Where the second half begins, by time.
    public var half: Timestamp { Timestamp(microseconds: (self.arrivals.last?.at.microseconds ?? 0) / 2) }

    /// - Throws: `internal` when the simulation breaks a promise of the pool, named by the policy.
    public func run(_ name: String, _ policy: KeepAliveChoice) throws(ApusError) -> Row {
        Self.row(name, try self.report(name, policy, self.arrivals, from: self.half))
    }

    /// What a second of waiting is worth to RentOrBuy: what keeps furthest from ``idleShare`` and ``wakeShare`` on the first half of the
    /// trace, or what the prices say.
    public func tune() throws(ApusError) -> Double {
        if let waiting = self.prices.waiting {
            return waiting / max(1e-9, self.prices.deviceHour(self.fleet) / 3_600)
        }
        let first = Array(self.arrivals.prefix { $0.at < self.half })
        guard let last = first.last else { return KeepAlivePrices().waitingSecond }
        // What it does before it has seen anything says nothing of the second half.
        let seen = Timestamp(microseconds: last.at.microseconds / 2)
        let fixed = try self.report("tuning", .fixed(FixedTTL(device: .seconds(600))), first, from: seen)
        var (best, lowest) = (KeepAlivePrices().waitingSecond, Double.infinity)
        for tried in Self.tried {
            let prices = self.prices.keepAlive(self.fleet, waitingSecond: tried)
            let ours = try self.report("tuning", .rentOrBuy(RentOrBuy(prices: prices)), first, from: seen)
            let idle = Double(ours.idle) / Double(max(1, fixed.idle)) / Self.idleShare
            let wakes = Double(ours.woken) / Double(max(1, ours.requests)) / Self.wakeShare
            if max(idle, wakes) < lowest { (best, lowest) = (tried, max(idle, wakes)) }
        }
        return best
    }

    /// Those asked for, and ``PolicyChoice/bounds`` always.
    /// - Parameter waitingSecond: see ``tune()``.
    public func runAll(_ choices: [PolicyChoice], waitingSecond: Double) throws(ApusError) -> [Row] {
        let prices = self.prices.keepAlive(self.fleet, waitingSecond: waitingSecond)
        var rows: [Row] = []
        for choice in PolicyChoice.bounds.prefix(1) + choices.filter({ !PolicyChoice.bounds.contains($0) })
            + PolicyChoice.bounds.dropFirst()
        {
            rows.append(try self.run(choice.name, choice.policy(functions: self.functions, prices)))
        }
        return rows
    }

    private func report(
        _ name: String, _ policy: KeepAliveChoice, _ arrivals: [Arrival], from: Timestamp
    ) throws(ApusError) -> FleetReport {
        var simulation = FleetSimulation(
            self.fleet, arrivals: arrivals, functions: self.functions, policy: policy, countFrom: from)
        let progress = self.progress
        if let fault = simulation.run({ share, events in progress?(name, share, events) }) {
            throw ApusError(.internal, "the policy \(name): \(fault)")
        }
        return simulation.report
    }

    private static func row(_ name: String, _ report: FleetReport) -> Row {
        let counted = report.days.filter { $0.requests > 0 }
        func requests(_ days: [FleetReport.Day]) -> Double { Double(max(1, days.reduce(0) { $0 + $1.requests })) }
        return Row(
            name: name, report: report,
            delayInterval: Bootstrap.interval(counted) { days in
                Double(days.reduce(0) { $0 + $1.delay }) * 1e-6 / requests(days)
            },
            coldInterval: Bootstrap.interval(counted) { days in Double(days.reduce(0) { $0 + $1.cold }) / requests(days)
            },
            wakeInterval: Bootstrap.interval(counted) { days in
                Double(days.reduce(0) { $0 + $1.woken }) / requests(days)
            },
            idleInterval: Bootstrap.interval(counted) { days in Double(days.reduce(0) { $0 + $1.idle }) / 3.6e9 })
    }
}

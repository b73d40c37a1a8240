internal import ApusCore
internal import ApusFleet
internal import ApusJSON

/// What `apus simulate` prints.
struct SimulateReport {
    private let comparison: PolicyComparison
    private let rows: [PolicyComparison.Row]
    private let waitingSecond: Double

    init(_ comparison: PolicyComparison, _ rows: [PolicyComparison.Row], waitingSecond: Double) {
        self.comparison = comparison
        self.rows = rows
        self.waitingSecond = waitingSecond
    }

    private static let percentiles = [0.5, 0.9, 0.95, 0.99]

    /// Of what is held idle, in the currency of the prices.
    private func cost(_ row: PolicyComparison.Row) -> Double {
        row.idleHours * self.comparison.prices.deviceHour(self.comparison.fleet)
            + row.hostHours * self.comparison.prices.hostHour(self.comparison.fleet)
    }

    func text(width: Int?) -> String {
        let fleet = self.comparison.fleet
        var table = TextTable([
            "POLICY", "COLD %", "WAKE %", "WARM %", "MEAN s", "P50", "P90", "P95", "P99", "IDLE h", "HOST h", "COST",
        ])
        for row in self.rows {
            table.add(
                [
                    row.name, Self.range(row.coldShare * 100, row.coldInterval, 100),
                    Self.range(row.wakeShare * 100, row.wakeInterval, 100), Self.short(row.warmShare * 100),
                    Self.range(row.report.meanDelay, row.delayInterval, 1),
                ] + row.report.delays(at: Self.percentiles).map(Self.short) + [
                    Self.range(row.idleHours, row.idleInterval, 1), Self.short(row.hostHours),
                    Self.short(self.cost(row)),
                ])
        }
        return """
            simulated: \(self.comparison.arrivals.count) requests of \(self.comparison.functions) functions on \(fleet.devices) \
            devices of \(fleet.deviceBytes >> 30) GiB; \(fleet.modelBytes >> 30) GiB a model, cold \
            \(Self.short(Self.seconds(fleet.cold))) s, wake \(Self.short(Self.seconds(fleet.wake))) s
            The second half is reported; RentOrBuy takes a second of waiting for \(Self.short(self.waitingSecond)) s of holding \
            a device. In brackets: 95 % confidence, of days drawn anew.

            \(table.render(width: width))
            """
    }

    var json: JSONValue {
        let fleet = self.comparison.fleet
        return [
            "simulated": .boolean(true),
            "requests": .number(self.comparison.arrivals.count), "functions": .number(self.comparison.functions),
            "devices": .number(fleet.devices), "deviceBytes": .number(fleet.deviceBytes),
            "modelBytes": .number(fleet.modelBytes), "coldSeconds": .double(Self.seconds(fleet.cold)),
            "wakeSeconds": .double(Self.seconds(fleet.wake)), "waitingSecond": .double(self.waitingSecond),
            "policies": .array(self.rows.map(self.json)),
        ]
    }

    private func json(_ row: PolicyComparison.Row) -> JSONValue {
        let delays = row.report.delays(at: Self.percentiles)
        return [
            "policy": .string(row.name), "requests": .number(row.report.requests),
            "cold": Self.figure(row.coldShare, row.coldInterval), "wake": Self.figure(row.wakeShare, row.wakeInterval),
            "warm": Self.figure(row.warmShare, nil),
            "startDelaySeconds": [
                "mean": Self.figure(row.report.meanDelay, row.delayInterval), "p50": .double(delays[0]),
                "p90": .double(delays[1]), "p95": .double(delays[2]), "p99": .double(delays[3]),
            ],
            "idleDeviceHours": Self.figure(row.idleHours, row.idleInterval), "hostMemoryHours": .double(row.hostHours),
            "cost": .double(self.cost(row)), "events": .number(row.report.events),
        ]
    }

    private static func figure(_ value: Double, _ interval: ClosedRange<Double>?) -> JSONValue {
        var figure: JSONValue = ["value": .double(value)]
        if let interval { figure["interval"] = [.double(interval.lowerBound), .double(interval.upperBound)] }
        return figure
    }

    private static func range(_ value: Double, _ interval: ClosedRange<Double>?, _ scale: Double) -> String {
        guard let interval else { return Self.short(value) }
        return
            "\(Self.short(value)) [\(Self.short(interval.lowerBound * scale)), \(Self.short(interval.upperBound * scale))]"
    }

    private static func seconds(_ span: TimeSpan) -> Double { Double(span.microseconds) * 1e-6 }

    /// One digit behind the point.
    private static func short(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(abs(tenths % 10))"
    }
}

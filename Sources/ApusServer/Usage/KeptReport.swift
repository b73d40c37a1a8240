internal import ApusCore
internal import ApusEngine
internal import ApusJSON
internal import ApusStore

/// What it would have cost to keep one function's workers, or its instances on devices of one kind, for a fixed time after each use.
struct KeptReport {
    private let gaps: IdleGaps.Seen
    private let prices: Prices
    /// Microseconds that they really had nothing to do, and starts that there really were.
    private let idle: Int64
    private let starts: IdleGaps.Count
    /// Of an hour in which one has nothing to do.
    private let idleHour: Double
    let isSimulated: Bool

    init(_ rows: [UsageRow], kind: String, _ gaps: IdleGaps.Seen, _ prices: Prices) {
        self.gaps = gaps
        self.prices = prices
        guard kind.isEmpty else {
            let shares = rows.flatMap(\.shares).filter { $0.kind == kind }
            var starts = IdleGaps.Count()
            for share in shares {
                starts += share.starts
                starts += share.wakes
            }
            let portion = Double(shares.map(\.portion).max() ?? 0) / 1e6
            let idle = shares.reduce(Int64(0)) { $0 + $1.share.idle }
            // What was charged is the instance's part of the device; the time that it waited is longer by as much.
            self.idle = portion > 0 ? Int64(Double(idle) / portion) : idle
            self.starts = starts
            self.idleHour = (prices.devices[kind] ?? 0) * portion
            self.isSimulated = shares.contains { $0.isSimulated }
            return
        }
        var workers = WorkerUsage()
        var starts = IdleGaps.Count()
        for row in rows {
            workers += row.function.workers
            starts += row.function.starts
        }
        let time = workers.busy + workers.idle + workers.starting
        self.idle = workers.idle
        self.starts = starts
        self.idleHour = time > 0 ? Double(workers.memory) / Double(time) / 1_024 * prices.host : 0
        self.isSimulated = false
    }

    var was: JSONValue {
        [
            "idleSeconds": UsageItem.seconds(self.idle), "coldStarts": .integer(self.starts.count),
            "waitedSeconds": UsageItem.seconds(self.starts.span), "cost": self.cost(self.idle),
        ]
    }

    func json(for span: TimeSpan) -> JSONValue {
        let kept = self.gaps.kept(for: span)
        let mean = self.starts.count > 0 ? Double(self.starts.span) / Double(self.starts.count) : 0
        return [
            "ttl": .string(span.description), "idleSeconds": UsageItem.seconds(kept.idle),
            "coldStarts": .integer(kept.cold), "warmUses": .integer(kept.warm),
            "waitedSeconds": UsageItem.rounded(Double(kept.cold) * mean / 1e6), "cost": self.cost(kept.idle),
        ]
    }

    private func cost(_ idle: Int64) -> JSONValue {
        self.prices.isEmpty ? .null : UsageItem.rounded(Double(idle) / UsageItem.hour * self.idleHour)
    }
}

internal import ApusCore
internal import ApusEngine
internal import ApusJSON
internal import ApusStore

/// One line of a report of cost: what a function, a label, a day or a principal used. Lines add up.
struct UsageItem: Sendable {
    var calls: Int64 = 0
    var failed: Int64 = 0
    var running: Int64 = 0
    var workers = WorkerUsage()
    var starts = IdleGaps.Count()
    var wakes = IdleGaps.Count()
    var share = DeviceShare()
    var cost = Cost()
    var isSimulated = false

    init() {}

    init(_ row: UsageRow, _ prices: Prices) {
        self.calls = row.function.calls
        self.failed = row.function.failed
        self.running = row.function.running
        self.workers = row.function.workers
        self.starts = row.function.starts
        self.cost.memory = Self.gibibyteHours(row.function.workers.memory) * prices.host
        self.cost.processor = Double(row.function.workers.processor) / 1_000 / Self.hour * prices.processor
        for share in row.shares {
            self.share += share.share
            self.wakes += share.wakes
            self.isSimulated = self.isSimulated || share.isSimulated
            let time = share.share.busy + share.share.idle + share.share.transfer
            self.cost.device += Double(time) / Self.hour * (prices.devices[share.kind] ?? 0)
            self.cost.host += Self.gibibyteHours(share.share.host) * prices.host
        }
    }

    static func += (left: inout UsageItem, right: UsageItem) {
        left.calls += right.calls
        left.failed += right.failed
        left.running += right.running
        left.workers += right.workers
        left.starts += right.starts
        left.wakes += right.wakes
        left.share += right.share
        left.cost += right.cost
        left.isSimulated = left.isSimulated || right.isSimulated
    }

    /// Microseconds of one.
    static let hour = 3_600_000_000.0

    private static func gibibyteHours(_ mebibyteMicroseconds: Int64) -> Double {
        Double(mebibyteMicroseconds) / 1_024 / Self.hour
    }

    func json(_ name: String, _ prices: Prices) -> JSONValue {
        [
            "name": .string(name), "calls": .integer(self.calls), "failed": .integer(self.failed),
            "runningSeconds": Self.seconds(self.running),
            "workerSeconds": [
                "busy": Self.seconds(self.workers.busy), "idle": Self.seconds(self.workers.idle),
                "starting": Self.seconds(self.workers.starting),
            ],
            "memoryGiBHours": Self.rounded(Self.gibibyteHours(self.workers.memory)),
            "cpuHours": Self.rounded(Double(self.workers.processor) / 1_000 / Self.hour),
            "deviceSeconds": [
                "busy": Self.seconds(self.share.busy), "idle": Self.seconds(self.share.idle),
                "transfer": Self.seconds(self.share.transfer),
            ],
            "hostGiBHours": Self.rounded(Self.gibibyteHours(self.share.host)),
            "starts": .integer(self.starts.count), "wakes": .integer(self.wakes.count),
            "simulated": .boolean(self.isSimulated),
            "cost": prices.isEmpty ? .null : self.cost.json,
        ]
    }

    static func seconds(_ microseconds: Int64) -> JSONValue { .double(Double(microseconds) / 1e6) }

    /// To a millionth: what is less is the noise of floating point.
    static func rounded(_ value: Double) -> JSONValue { .double((value * 1e6).rounded() / 1e6) }
}

extension Cost {
    var json: JSONValue {
        [
            "device": UsageItem.rounded(self.device), "host": UsageItem.rounded(self.host),
            "memory": UsageItem.rounded(self.memory), "cpu": UsageItem.rounded(self.processor),
            "total": UsageItem.rounded(self.total),
        ]
    }
}

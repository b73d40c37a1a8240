public import ApusCore
internal import ApusEngine

/// What was used, minute by minute, as `apus.usage` tells it. Records of all nodes add up.
extension Projection {
    func applyUsage(_ event: Event) throws(ApusError) {
        guard let record = UsageRecord(event) else {
            return self.skipped(ApusError(.invalidEvent, "a record of apus.usage that tells of none"))
        }
        let known = try self.usageSource.first([.text(record.run)]) { $0.integer(0) }
        // A writer whose answer was lost writes again.
        guard Int64(clamping: record.sequence) > known ?? -1 else { return }
        let sequence = Int64(clamping: record.sequence)
        try self.saveUsageSource.run([.text(record.run), .integer(sequence), .integer(record.to.microseconds)])
        let minute = record.from.microseconds / 60_000_000
        for function in record.functions {
            let values = [
                function.calls, function.failed, function.running, function.workers.busy, function.workers.idle,
                function.workers.starting, function.workers.memory, function.workers.processor, function.starts.count,
                function.starts.span,
            ]
            try self.addFunctionUsage.run(Self.key(minute, function.name) + values.map { .integer($0) })
            try self.add(function.gaps, minute, function.name, kind: "")
        }
        for share in record.shares {
            let values = [
                share.share.busy, share.share.idle, share.share.transfer, share.share.host, share.starts.count,
                share.starts.span, share.wakes.count, share.wakes.span, share.portion,
            ]
            let key = Self.key(minute, share.name) + [.text(share.kind), .integer(share.isSimulated ? 1 : 0)]
            try self.addShareUsage.run(key + values.map { .integer($0) })
            try self.add(share.gaps, minute, share.name, kind: share.kind)
        }
        for device in record.devices {
            let values = [device.usage.busy, device.usage.idle, device.usage.transfer, device.usage.unallocated]
            let key: [SQLValue] = [
                .integer(minute), .text(record.node), .text(device.id), .text(device.kind),
                .integer(device.isSimulated ? 1 : 0),
            ]
            try self.addDeviceUsage.run(key + values.map { .integer($0) })
        }
        for caller in record.callers {
            let values = [caller.calls, caller.failed, caller.running]
            try self.addCallerUsage.run(
                Self.key(minute, caller.name) + [.text(caller.principal)] + values.map { .integer($0) })
        }
        for transition in record.transitions { try self.add(transition, on: record.node) }
    }

    private static func key(_ minute: Int64, _ name: ResourceName) -> [SQLValue] {
        [.integer(minute), .text(name.namespace.name), .text(name.name)]
    }

    private func add(_ gaps: IdleGaps.Seen, _ minute: Int64, _ name: ResourceName, kind: String) throws(ApusError) {
        guard !gaps.isEmpty else { return }
        let key = Self.key(minute, name) + [.text(kind)]
        if gaps.first > 0 {
            let values = [ProjectionUsage.firstUses, gaps.first, 0]
            try self.addUsageGap.run(key + values.map { .integer($0) })
        }
        for (bucket, count) in gaps.buckets {
            let values = [Int64(bucket), count.count, count.span]
            try self.addUsageGap.run(key + values.map { .integer($0) })
        }
    }

    private func add(_ transition: UsageTransition, on node: String) throws(ApusError) {
        try self.addTransition.run([
            .integer(transition.at.microseconds), .text(node), .integer(Int64(bitPattern: transition.instance)),
            .text(transition.name.namespace.name), .text(transition.name.name), .text(transition.revision),
            .text(transition.device), .text(transition.before), .text(transition.after), .text(transition.cause),
            .text(transition.tier),
        ])
    }

    // MARK: retention

    /// Removes what is older than a time, and makes hours of the minutes before another.
    /// - Returns: how many rows went, at most about `limit` of each table.
    public func removeUsage(before time: Timestamp, hoursBefore: Timestamp, limit: Int, isDryRun: Bool)
        throws(ApusError) -> Int
    {
        let minute = time.microseconds / 60_000_000
        var removed = 0
        for table in ProjectionUsage.tables {
            removed += try self.removeDue(
                table, "minute", "SELECT rowid FROM \(table) WHERE minute < ? LIMIT ?", [.integer(minute)], limit,
                isDryRun)
        }
        removed += try self.removeDue(
            "transitions", "at", "SELECT rowid FROM transitions WHERE at < ? LIMIT ?", [.integer(time.microseconds)],
            limit, isDryRun)
        removed += try self.removeDue(
            "usage_sources", "seen", "SELECT rowid FROM usage_sources WHERE seen < ? LIMIT ?",
            [.integer(time.microseconds)], limit, isDryRun)
        if !isDryRun { try self.gatherHours(before: hoursBefore) }
        return removed
    }

    private func removeDue(
        _ table: String, _ column: String, _ due: String, _ values: [SQLValue], _ limit: Int, _ isDryRun: Bool
    ) throws(ApusError) -> Int {
        let all = values + [.integer(Int64(limit))]
        if isDryRun {
            return Int(try self.database.prepare("SELECT count(*) FROM (\(due))").first(all) { $0.integer(0) } ?? 0)
        }
        return try self.database.transaction { () throws(ApusError) in
            try self.database.prepare("DELETE FROM \(table) WHERE rowid IN (\(due))").run(all)
            return self.database.changes
        }
    }

    /// Of minutes long ago only the hours are asked for.
    private func gatherHours(before time: Timestamp) throws(ApusError) {
        let end = time.microseconds / 60_000_000 / 60 * 60
        try self.database.transaction { () throws(ApusError) in
            for (table, insert) in ProjectionUsage.hourly {
                try self.database.prepare(insert).run([.integer(end)])
                try self.database.prepare("DELETE FROM \(table) WHERE minute < ? AND minute % 60 != 0").run([
                    .integer(end)
                ])
            }
        }
    }
}

/// The tables of usage, and what adds a row to one that is there.
enum ProjectionUsage {
    /// In place of a bucket of gaps: uses that none came before.
    static let firstUses: Int64 = -1

    private struct Table {
        var name: String
        var key: [String]
        var sums: [String]
        /// Columns of which the largest counts.
        var largest: [String] = []

        private var columns: [String] { self.key + self.sums + self.largest }

        private var conflict: String {
            let sums = self.sums.map { "\($0) = \($0) + excluded.\($0)" }
            let largest = self.largest.map { "\($0) = max(\($0), excluded.\($0))" }
            return "ON CONFLICT DO UPDATE SET \((sums + largest).joined(separator: ", "))"
        }

        var insert: String {
            let places = self.columns.map { _ in "?" }.joined(separator: ", ")
            return
                "INSERT INTO \(self.name) (\(self.columns.joined(separator: ", "))) VALUES (\(places)) \(self.conflict)"
        }

        /// Adds the minutes of hours that are over to the first of each.
        var hourly: String {
            let rest = self.columns.dropFirst().joined(separator: ", ")
            return """
                INSERT INTO \(self.name) (\(self.columns.joined(separator: ", ")))
                SELECT minute - minute % 60, \(rest) FROM \(self.name) WHERE minute < ? AND minute % 60 != 0 \(self.conflict)
                """
        }
    }

    private static let function = ["minute", "namespace", "function"]
    private static let functions = Table(
        name: "usage_functions", key: function,
        sums: [
            "calls", "failed", "running", "busy", "idle", "starting", "memory", "processor", "starts", "start_time",
        ])
    private static let shares = Table(
        name: "usage_shares", key: function + ["kind", "simulated"],
        sums: ["busy", "idle", "transfer", "host", "starts", "start_time", "wakes", "wake_time"], largest: ["portion"])
    private static let devices = Table(
        name: "usage_devices", key: ["minute", "node", "device", "kind", "simulated"],
        sums: ["busy", "idle", "transfer", "unallocated"])
    private static let callers = Table(
        name: "usage_callers", key: function + ["principal"], sums: ["calls", "failed", "running"])
    private static let gaps = Table(
        name: "usage_gaps", key: function + ["kind", "bucket"], sums: ["count", "span"])

    static let addFunction = functions.insert
    static let addShare = shares.insert
    static let addDevice = devices.insert
    static let addCaller = callers.insert
    static let addGap = gaps.insert
    static let addTransition = """
        INSERT INTO transitions (at, node, instance, namespace, function, revision, device, before, after, cause, tier)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """
    static let tables = [functions, shares, devices, callers, gaps].map(\.name)
    static let hourly = [functions, shares, devices, callers, gaps].map { ($0.name, $0.hourly) }

    static let schema = """
        CREATE TABLE usage_functions (
            minute INTEGER NOT NULL, namespace TEXT NOT NULL, function TEXT NOT NULL, calls INTEGER NOT NULL, failed INTEGER NOT NULL,
            running INTEGER NOT NULL, busy INTEGER NOT NULL, idle INTEGER NOT NULL, starting INTEGER NOT NULL, memory INTEGER NOT NULL,
            processor INTEGER NOT NULL, starts INTEGER NOT NULL, start_time INTEGER NOT NULL, UNIQUE (minute, namespace, function)
        );
        CREATE TABLE usage_shares (
            minute INTEGER NOT NULL, namespace TEXT NOT NULL, function TEXT NOT NULL, kind TEXT NOT NULL, simulated INTEGER NOT NULL,
            busy INTEGER NOT NULL, idle INTEGER NOT NULL, transfer INTEGER NOT NULL, host INTEGER NOT NULL, portion INTEGER NOT NULL,
            starts INTEGER NOT NULL, start_time INTEGER NOT NULL, wakes INTEGER NOT NULL, wake_time INTEGER NOT NULL,
            UNIQUE (minute, namespace, function, kind, simulated)
        );
        CREATE TABLE usage_devices (
            minute INTEGER NOT NULL, node TEXT NOT NULL, device TEXT NOT NULL, kind TEXT NOT NULL, simulated INTEGER NOT NULL,
            busy INTEGER NOT NULL, idle INTEGER NOT NULL, transfer INTEGER NOT NULL, unallocated INTEGER NOT NULL,
            UNIQUE (minute, node, device, kind, simulated)
        );
        CREATE TABLE usage_callers (
            minute INTEGER NOT NULL, namespace TEXT NOT NULL, function TEXT NOT NULL, principal TEXT NOT NULL, calls INTEGER NOT NULL,
            failed INTEGER NOT NULL, running INTEGER NOT NULL, UNIQUE (minute, namespace, function, principal)
        );
        CREATE TABLE usage_gaps (
            minute INTEGER NOT NULL, namespace TEXT NOT NULL, function TEXT NOT NULL, kind TEXT NOT NULL, bucket INTEGER NOT NULL,
            count INTEGER NOT NULL, span INTEGER NOT NULL, UNIQUE (minute, namespace, function, kind, bucket)
        );
        CREATE TABLE usage_sources (run TEXT PRIMARY KEY, sequence INTEGER NOT NULL, seen INTEGER NOT NULL);
        CREATE TABLE transitions (
            sequence INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, node TEXT NOT NULL, instance INTEGER NOT NULL,
            namespace TEXT NOT NULL, function TEXT NOT NULL, revision TEXT NOT NULL, device TEXT NOT NULL, before TEXT NOT NULL,
            after TEXT NOT NULL, cause TEXT NOT NULL, tier TEXT NOT NULL
        );
        CREATE INDEX transitions_by_function ON transitions (namespace, function, sequence);
        CREATE INDEX transitions_by_time ON transitions (at);
        """
}

public import ApusCore
public import ApusEngine

/// Which stretch of time, and how fine.
public struct UsageWindow: Sendable, Hashable {
    public enum Step: Int64, Sendable, Hashable {
        case whole = 0
        case hour = 60
        case day = 1_440
    }

    /// Minutes since 1970: from the first on, up to and without the last.
    public var minutes: Range<Int64>
    public var step: Step

    public init(from: Timestamp, to: Timestamp, step: Step = .whole) {
        let first = from.microseconds / 60_000_000
        let last = (to.microseconds + 59_999_999) / 60_000_000
        self.minutes = first..<Swift.max(first, last)
        self.step = step
    }

    public var start: Timestamp { Timestamp(microseconds: self.minutes.lowerBound * 60_000_000) }
    public var end: Timestamp { Timestamp(microseconds: self.minutes.upperBound * 60_000_000) }

    /// The minute that a row stands for.
    fileprivate var place: String {
        self.step == .whole ? "0" : "minute - minute % \(self.step.rawValue)"
    }

    fileprivate var values: [SQLValue] { [.integer(self.minutes.lowerBound), .integer(self.minutes.upperBound)] }
}

/// What one function used in one step of a window.
public struct UsageRow: Sendable, Hashable {
    /// The first minute of the step; 0 of the whole window.
    public var minute: Int64
    public var function: UsageRecord.Function
    /// By kind, simulated ones apart.
    public var shares: [UsageRecord.Share]
}

extension Projection {
    /// What functions of a namespace used; of all where it is nil. In the order of steps and names, at most
    /// ``Limits/Projection/usageRows``.
    public func usage(in namespace: Namespace?, _ window: UsageWindow) throws(ApusError) -> [UsageRow] {
        struct Key: Hashable {
            var minute: Int64
            var name: ResourceName
        }
        var rows: [Key: UsageRow] = [:]
        let filter = namespace == nil ? "" : " AND namespace = ?"
        let values = window.values + (namespace.map { [.text($0.name)] } ?? [])
        let functions = """
            SELECT \(window.place) AS step, namespace, function, sum(calls), sum(failed), sum(running), sum(busy), sum(idle),
            sum(starting), total(memory), total(processor), sum(starts), sum(start_time) FROM usage_functions
            WHERE minute >= ? AND minute < ?\(filter) GROUP BY step, namespace, function
            ORDER BY step, namespace, function LIMIT \(Limits.Projection.usageRows)
            """
        try self.database.prepare(functions).run(values) { (row) throws(ApusError) in
            guard let name = row.name(1) else { return true }
            var function = UsageRecord.Function(name)
            (function.calls, function.failed, function.running) = (row.integer(3), row.integer(4), row.integer(5))
            (function.workers.busy, function.workers.idle) = (row.integer(6), row.integer(7))
            function.workers.starting = row.integer(8)
            (function.workers.memory, function.workers.processor) = (row.integer(9), row.integer(10))
            function.starts = IdleGaps.Count(count: row.integer(11), span: row.integer(12))
            rows[Key(minute: row.integer(0), name: name)] = UsageRow(
                minute: row.integer(0), function: function, shares: [])
            return true
        }
        let shares = """
            SELECT \(window.place) AS step, namespace, function, kind, simulated, sum(busy), sum(idle), sum(transfer), total(host),
            max(portion), sum(starts), sum(start_time), sum(wakes), sum(wake_time) FROM usage_shares
            WHERE minute >= ? AND minute < ?\(filter) GROUP BY step, namespace, function, kind, simulated
            ORDER BY step, namespace, function, kind, simulated LIMIT \(Limits.Projection.usageRows)
            """
        try self.database.prepare(shares).run(values) { (row) throws(ApusError) in
            guard let name = row.name(1) else { return true }
            var share = UsageRecord.Share(name, kind: row.text(3), isSimulated: row.integer(4) != 0)
            (share.share.busy, share.share.idle) = (row.integer(5), row.integer(6))
            (share.share.transfer, share.share.host) = (row.integer(7), row.integer(8))
            share.portion = row.integer(9)
            share.starts = IdleGaps.Count(count: row.integer(10), span: row.integer(11))
            share.wakes = IdleGaps.Count(count: row.integer(12), span: row.integer(13))
            let key = Key(minute: row.integer(0), name: name)
            rows[
                key, default: UsageRow(minute: key.minute, function: UsageRecord.Function(name), shares: [])
            ].shares.append(share)
            return true
        }
        return rows.values.sorted { ($0.minute, $0.function.name) < ($1.minute, $1.function.name) }
    }

    /// What each device did, by node and device.
    public func deviceUsage(_ window: UsageWindow) throws(ApusError)
        -> [(minute: Int64, node: String, device: UsageRecord.Device)]
    {
        let sql = """
            SELECT \(window.place) AS step, node, device, kind, simulated, sum(busy), sum(idle), sum(transfer), sum(unallocated)
            FROM usage_devices WHERE minute >= ? AND minute < ? GROUP BY step, node, device, kind, simulated
            ORDER BY step, node, device LIMIT \(Limits.Projection.usageRows)
            """
        return try self.database.prepare(sql).all(window.values) { row in
            var usage = DeviceUsage()
            (usage.busy, usage.idle) = (row.integer(5), row.integer(6))
            (usage.transfer, usage.unallocated) = (row.integer(7), row.integer(8))
            return (
                row.integer(0), row.text(1),
                UsageRecord.Device(
                    id: row.text(2), kind: row.text(3), isSimulated: row.integer(4) != 0, usage: usage)
            )
        }
    }

    /// What each principal called.
    public func callers(in namespace: Namespace, _ window: UsageWindow) throws(ApusError) -> [UsageRecord.Caller] {
        let sql = """
            SELECT namespace, function, principal, sum(calls), sum(failed), sum(running) FROM usage_callers
            WHERE minute >= ? AND minute < ? AND namespace = ? GROUP BY namespace, function, principal
            ORDER BY principal, function LIMIT \(Limits.Projection.usageRows)
            """
        return try self.database.prepare(sql).all(window.values + [.text(namespace.name)]) { row in
            row.name(0).map {
                UsageRecord.Caller(
                    $0, principal: row.text(2), calls: row.integer(3), failed: row.integer(4), running: row.integer(5))
            }
        }.compactMap { $0 }
    }

    /// Gaps between uses, of each function and kind of device; the kind is empty for workers without one.
    public func gaps(in namespace: Namespace, _ window: UsageWindow) throws(ApusError)
        -> [(name: ResourceName, kind: String, gaps: IdleGaps.Seen)]
    {
        var found: [(name: ResourceName, kind: String, gaps: IdleGaps.Seen)] = []
        let sql = """
            SELECT namespace, function, kind, bucket, sum(count), sum(span) FROM usage_gaps
            WHERE minute >= ? AND minute < ? AND namespace = ? GROUP BY namespace, function, kind, bucket
            ORDER BY function, kind, bucket LIMIT \(Limits.Projection.usageGapRows)
            """
        try self.database.prepare(sql).run(window.values + [.text(namespace.name)]) { (row) throws(ApusError) in
            guard let name = row.name(0) else { return true }
            if found.last?.name != name || found.last?.kind != row.text(2) {
                found.append((name, row.text(2), IdleGaps.Seen()))
            }
            let last = found.count - 1
            if row.integer(3) == ProjectionUsage.firstUses {
                found[last].gaps.first = row.integer(4)
            } else {
                found[last].gaps.buckets[Int(row.integer(3))] = IdleGaps.Count(
                    count: row.integer(4), span: row.integer(5))
            }
            return true
        }
        return found
    }

    /// The latest changes of a function's instances on devices, the newest first.
    public func transitions(of function: ResourceName, limit: Int) throws(ApusError) -> [UsageTransition] {
        let sql = """
            SELECT namespace, function, at, instance, revision, device, before, after, cause, tier FROM transitions
            WHERE namespace = ? AND function = ? ORDER BY sequence DESC LIMIT ?
            """
        let limit = min(max(limit, 0), Limits.Projection.rowsPerQuery)
        return try self.database.prepare(sql).all([
            .text(function.namespace.name), .text(function.name), .integer(Int64(limit)),
        ]) { row in
            row.name(0).map {
                UsageTransition(
                    at: Timestamp(microseconds: row.integer(2)), instance: UInt64(bitPattern: row.integer(3)),
                    name: $0, revision: row.text(4), device: row.text(5), before: row.text(6), after: row.text(7),
                    cause: row.text(8), tier: row.text(9))
            }
        }.compactMap { $0 }
    }
}

extension Row {
    /// A namespace and a function in two columns beside each other.
    fileprivate func name(_ column: Int) -> ResourceName? {
        Namespace(self.text(column)).flatMap { ResourceName($0, self.text(column + 1)) }
    }
}

internal import ApusCore
internal import ApusEngine
internal import ApusStore

/// Divides what functions cost among the principals that called them: each its part of the time that its function ran. What nobody called
/// directly came from topics, schedules and queues. Nothing is given twice and nothing left out.
enum CallerParts {
    static let uncalled = "(topics, schedules and queues)"

    static func divide(_ functions: [ResourceName: UsageItem], among callers: [UsageRecord.Caller]) -> [String: UsageItem] {
        var left = functions
        // What callers were told that their calls took may be more than what the function counted: a client that left waited, too.
        let called = callers.reduce(into: [ResourceName: Int64]()) { $0[$1.name, default: 0] += max(0, $1.running) }
        var items: [String: UsageItem] = [:]
        for caller in callers {
            var item = UsageItem()
            (item.calls, item.failed, item.running) = (caller.calls, caller.failed, caller.running)
            if let function = functions[caller.name], var rest = left[caller.name] {
                let time = max(function.running, called[caller.name] ?? 0)
                let part = time > 0 ? Double(max(0, caller.running)) / Double(time) : 0
                item.cost = function.cost * part
                item.workers = function.workers.part(part)
                item.share = function.share.part(part)
                item.isSimulated = function.isSimulated
                rest.cost += function.cost * -part
                rest.workers -= item.workers
                rest.share -= item.share
                rest.calls -= caller.calls
                rest.failed -= caller.failed
                rest.running -= caller.running
                left[caller.name] = rest
            }
            items[caller.principal, default: UsageItem()] += item
        }
        var rest = UsageItem()
        for item in left.values { rest += item }
        (rest.calls, rest.failed, rest.running) = (max(0, rest.calls), max(0, rest.failed), max(0, rest.running))
        if rest.calls > 0 || self.microseconds(of: rest) > Int64(callers.count) * self.rounding {
            items[Self.uncalled] = rest
        } else if let first = items.keys.min() {
            // No more than the divisions left over.
            items[first]?.share += rest.share
            items[first]?.workers += rest.workers
            items[first]?.cost += rest.cost
        }
        return items
    }

    /// What one division may leave: less than a microsecond of each of its amounts, memory and processors apart.
    private static let rounding: Int64 = 6

    private static func microseconds(of item: UsageItem) -> Int64 {
        let (share, workers) = (item.share, item.workers)
        return share.busy + share.idle + share.transfer + workers.busy + workers.idle + workers.starting
    }
}

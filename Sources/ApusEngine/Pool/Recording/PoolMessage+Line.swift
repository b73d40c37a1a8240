internal import ApusCore

extension PoolMessage {
    var line: String {
        switch self {
        case .deploy(let plan): "deploy \(plan.line)"
        case .remove(let function): "remove \(function.rawValue)"
        case .demand(let function, let running, let queued): "demand \(function.rawValue) \(running) \(queued)"
        case .occupied(let instance, let running, let uses): "occupied \(instance.rawValue) \(running) \(uses)"
        case .sleeps(let instance, let canSleep): "sleeps \(instance.rawValue) \(canSleep ? "yes" : "no")"
        case .report(let instance, let report): "report \(instance.rawValue) \(report)"
        case .fetches(let function, let span):
            "fetches \(function.rawValue) \(span.map { "\($0.microseconds)" } ?? "-")"
        case .stayed(let instance, let running): "stayed \(instance.rawValue) \(running)"
        case .ended(let instance): "ended \(instance.rawValue)"
        }
    }

    static func read(_ kind: Substring, _ words: inout PoolWords) -> PoolMessage? {
        switch kind {
        case "deploy": return PoolFunction.read(&words).map { .deploy($0) }
        case "remove": return words.function().map { .remove($0) }
        case "fetches":
            guard let function = words.function(),
                let span = words.optional({ Int64($0).map { TimeSpan(microseconds: $0) } })
            else { return nil }
            return .fetches(function, span)
        case "demand":
            guard let function = words.function(), let running = words.number(Int.self),
                let queued = words.number(Int.self)
            else { return nil }
            return .demand(function, running: running, queued: queued)
        default: return words.instance().flatMap { Self.read(kind, of: $0, &words) }
        }
    }

    private static func read(_ kind: Substring, of instance: InstanceID, _ words: inout PoolWords) -> PoolMessage? {
        switch kind {
        case "occupied":
            guard let running = words.number(Int.self), let uses = words.number(Int.self) else { return nil }
            return .occupied(instance, running: running, uses: uses)
        case "sleeps": return words.truth().map { .sleeps(instance, $0) }
        case "report":
            guard let word = words.word() else { return nil }
            return Pool.Report.allCases.first { "\($0)" == word }.map { .report(instance, $0) }
        case "stayed": return words.number(Int.self).map { .stayed(instance, running: $0) }
        case "ended": return .ended(instance)
        default: return nil
        }
    }
}

extension PoolFunction {
    fileprivate var line: String {
        let kind = self.kind.map { "\($0)" } ?? "-"
        let stays = [self.deviceIdle, self.hostIdle, self.fetch].map { $0.map { "\($0.microseconds)" } ?? "-" }
        return "\(self.function.rawValue) \(self.generation) \(self.deviceCount) \(self.deviceBytes) \(kind) "
            + "\(self.residueBytes) \(self.hostBytes) \(self.canSleep ? "yes" : "no") \(self.concurrency) "
            + "\(self.min) \(self.max) \(self.weight) \(stays[0]) \(stays[1]) "
            + "\(self.wakePrior.microseconds) \(self.coldPrior.microseconds) \(stays[2])"
    }

    fileprivate static func read(_ words: inout PoolWords) -> PoolFunction? {
        guard let function = words.function(), let generation = words.number(UInt64.self),
            let count = words.number(Int.self), let bytes = words.number(Int64.self),
            let kind = words.optional({ Int($0) }), let residue = words.number(Int64.self),
            let host = words.number(Int64.self), let canSleep = words.truth(), let concurrency = words.number(Int.self),
            let min = words.number(Int.self), let max = words.number(Int.self), let weight = words.real(),
            let deviceIdle = words.optional({ Int64($0).map { TimeSpan(microseconds: $0) } }),
            let hostIdle = words.optional({ Int64($0).map { TimeSpan(microseconds: $0) } }),
            let wake = words.span(), let cold = words.span(),
            let fetch = words.optional({ Int64($0).map { TimeSpan(microseconds: $0) } })
        else { return nil }
        return PoolFunction(
            function: function, generation: generation, deviceCount: count, deviceBytes: bytes, kind: kind,
            residueBytes: residue, hostBytes: host, canSleep: canSleep, concurrency: concurrency, min: min, max: max,
            weight: weight, deviceIdle: deviceIdle, hostIdle: hostIdle, wakePrior: wake, coldPrior: cold,
            fetch: fetch)
    }
}

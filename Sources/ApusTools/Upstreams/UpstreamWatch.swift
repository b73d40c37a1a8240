public import ApusCore

/// When upstreams are asked for their lists: after a deploy, every `refresh`, when one says that its list changed, and later and later while
/// one does not answer. No clock of its own.
public struct UpstreamWatch: Sendable {
    private struct Watched {
        var generation: UInt64
        var refresh: TimeSpan
        var due: Timestamp
        var isAsked = false
        /// It said that its list changed while it was being asked.
        var isStale = false
        var failures = 0
    }

    private var watched: [ResourceName: Watched] = [:]

    public init() {}

    /// What is deployed now. An upstream that is new or has another generation is asked at once.
    public mutating func apply(
        _ upstreams: [(name: ResourceName, generation: UInt64, refresh: TimeSpan)], now: Timestamp
    ) {
        let names = Set(upstreams.map(\.name))
        for name in Array(self.watched.keys) where !names.contains(name) { self.watched[name] = nil }
        for upstream in upstreams {
            if self.watched[upstream.name]?.generation == upstream.generation { continue }
            let isAsked = self.watched[upstream.name]?.isAsked ?? false
            self.watched[upstream.name] = Watched(
                generation: upstream.generation, refresh: upstream.refresh, due: now, isAsked: isAsked, isStale: isAsked)
        }
    }

    /// Its list may be another one.
    public mutating func changed(_ name: ResourceName, now: Timestamp) {
        guard let one = self.watched[name] else { return }
        if one.isAsked { self.watched[name]?.isStale = true } else { self.watched[name]?.due = now }
    }

    /// Whom to ask now; each must be followed by ``answered(_:isGood:now:)``.
    public mutating func due(now: Timestamp) -> [ResourceName] {
        let room = Limits.Tools.upstreamsAsked - self.watched.values.count { $0.isAsked }
        let names = self.watched.filter { !$0.value.isAsked && $0.value.due <= now }.sorted { $0.key < $1.key }
            .prefix(max(0, room)).map(\.key)
        for name in names { self.watched[name]?.isAsked = true }
        return names
    }

    public mutating func answered(_ name: ResourceName, isGood: Bool, now: Timestamp) {
        guard var one = self.watched[name] else { return }
        one.isAsked = false
        one.failures = isGood ? 0 : one.failures + 1
        let doubled = Limits.Tools.upstreamRetry.microseconds << Int64(min(max(0, one.failures - 1), 20))
        let backoff = TimeSpan(microseconds: doubled)
        one.due = now + (isGood ? one.refresh : min(backoff, one.refresh))
        if one.isStale, isGood { one.due = now }
        one.isStale = false
        self.watched[name] = one
    }

    /// When to look again; nil for never. While as many are asked as may be, an answer comes first.
    public var nextDue: Timestamp? {
        guard self.watched.values.count(where: \.isAsked) < Limits.Tools.upstreamsAsked else { return nil }
        return self.watched.values.filter { !$0.isAsked }.map(\.due).min()
    }
}

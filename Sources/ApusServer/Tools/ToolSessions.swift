internal import ApusCore
internal import ApusCrypto
internal import ApusTools
internal import Synchronization

/// The sessions that this server knows. Each id holds what another server needs to go on with it.
final class ToolSessions: Sendable {
    private struct State {
        var sessions: [String: ToolSession] = [:]
        /// Those that were ended, by the client or here: their ids would open otherwise. With when each would end by itself.
        var ended: [String: Timestamp] = [:]
    }

    private let sealer: Sealer
    private let state = Mutex(State())

    init(sealer: Sealer) { self.sealer = sealer }

    var count: Int { self.state.withLock { $0.sessions.count } }

    func make(
        _ place: ToolPlace, _ caller: ToolCaller, _ revision: ProtocolRevision, _ capabilities: ClientCapabilities,
        now: Timestamp
    ) -> ToolSession {
        var plain = Random.bytes(16)
        plain.appendLittleEndian((now + .seconds(Limits.ToolEndpoint.sessionSeconds)).microseconds)
        plain.appendLittleEndian(capabilities.rawValue)
        plain.append(revision == .r20251125 ? 1 : 0)
        let id = self.sealer.seal(plain, boundTo: Self.bound(place, caller))
        let session = ToolSession(
            id: id, place: place, caller: caller, revision: revision, capabilities: capabilities, now: now)
        self.add(session, now: now)
        return session
    }

    private static func bound(_ place: ToolPlace, _ caller: ToolCaller) -> [String] {
        ["apus session 1", place.text, caller.name]
    }

    private func add(_ session: ToolSession, now: Timestamp) {
        let forgotten = self.state.withLock { state -> [ToolSession] in
            var forgotten: [ToolSession] = []
            if state.sessions.count >= Limits.ToolEndpoint.sessions {
                let idle = TimeSpan.seconds(Limits.ToolEndpoint.sessionIdleSeconds)
                forgotten = state.sessions.values.filter { now >= $0.usedAt + idle }
                if forgotten.isEmpty, let oldest = state.sessions.values.min(by: { $0.usedAt < $1.usedAt }) {
                    forgotten = [oldest]
                }
                for old in forgotten { state.sessions[old.id] = nil }
            }
            state.sessions[session.id] = session
            return forgotten
        }
        for old in forgotten { old.close() }
    }

    /// The session of an id, for whoever it was given to; made anew where another server, or an earlier life of this one, gave it.
    func find(_ id: String, _ place: ToolPlace, _ caller: ToolCaller, now: Timestamp) -> ToolSession? {
        let known = self.state.withLock { $0.sessions[id] }
        if let known {
            guard known.caller.name == caller.name, known.place == place else { return nil }
            known.used(now: now)
            return known
        }
        guard self.state.withLock({ $0.ended[id] }) == nil,
            let plain = self.sealer.open(id, boundTo: Self.bound(place, caller)), plain.count == 27
        else { return nil }
        let until = (0..<8).reduce(UInt64(0)) { $0 | UInt64(plain[16 + $1]) << UInt64(8 * $1) }
        guard now < Timestamp(microseconds: Int64(bitPattern: until)) else { return nil }
        let capabilities = ClientCapabilities(rawValue: UInt16(plain[24]) | UInt16(plain[25]) << 8)
        let session = ToolSession(
            id: id, place: place, caller: caller, revision: plain[26] == 1 ? .r20251125 : .r20250618,
            capabilities: capabilities, now: now)
        self.add(session, now: now)
        return session
    }

    func end(_ session: ToolSession, now: Timestamp) {
        self.state.withLock { state in
            state.sessions[session.id] = nil
            if state.ended.count >= Limits.ToolEndpoint.endedSessions {
                state.ended = state.ended.filter { now < $0.value }
                if state.ended.count >= Limits.ToolEndpoint.endedSessions,
                    let oldest = state.ended.min(by: { $0.value < $1.value })
                {
                    state.ended[oldest.key] = nil
                }
            }
            state.ended[session.id] = now + .seconds(Limits.ToolEndpoint.sessionSeconds)
        }
        session.close()
    }

    func changed(_ update: ToolUpdate) {
        let sessions = self.state.withLock { Array($0.sessions.values) }
        for session in sessions { session.changed(update) }
    }

    /// The server goes.
    func close() {
        let sessions = self.state.withLock { state in
            defer { state.sessions = [:] }
            return Array(state.sessions.values)
        }
        for session in sessions { session.close() }
    }
}

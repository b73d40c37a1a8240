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
    /// What this server is called.
    let node: String
    /// Called with each session that began at another server, or in an earlier life of this one, and goes on here.
    let onMet = Mutex<(@Sendable (ToolSession) -> Void)?>(nil)
    private let state = Mutex(State())

    init(sealer: Sealer, node: String) {
        self.sealer = sealer
        self.node = node
    }

    var count: Int { self.state.withLock { $0.sessions.count } }

    /// What its id holds.
    private struct Plain {
        var until: Timestamp
        var capabilities: ClientCapabilities
        var revision: ProtocolRevision
        var origin: ToolSession.Origin

        /// Sixteen bytes that nobody can guess, then the time, the capabilities, the revision and where it began.
        var bytes: [UInt8] {
            var bytes = Random.bytes(Self.secretBytes)
            bytes.appendLittleEndian(self.until.microseconds)
            bytes.appendLittleEndian(self.capabilities.rawValue)
            bytes.append(self.revision == .r20251125 ? 1 : 0)
            bytes.appendLittleEndian(UInt16(clamping: self.origin.shard))
            return bytes + Array(self.origin.node.utf8)
        }

        static let secretBytes = 16
        static let fixedBytes = secretBytes + 8 + 2 + 1 + 2

        init(until: Timestamp, _ capabilities: ClientCapabilities, _ revision: ProtocolRevision, _ origin: ToolSession.Origin)
        {
            (self.until, self.capabilities, self.revision, self.origin) = (until, capabilities, revision, origin)
        }

        init?(_ bytes: [UInt8]) {
            guard bytes.count >= Self.fixedBytes else { return nil }
            let fields = bytes.span.bytes
            let start = Self.secretBytes
            self.until = Timestamp(microseconds: fields.littleEndian(at: start, as: Int64.self))
            self.capabilities = ClientCapabilities(rawValue: fields.littleEndian(at: start + 8, as: UInt16.self))
            self.revision = bytes[start + 10] == 1 ? .r20251125 : .r20250618
            self.origin = ToolSession.Origin(
                node: String(decoding: bytes[Self.fixedBytes...], as: UTF8.self),
                shard: Int(fields.littleEndian(at: start + 11, as: UInt16.self)))
        }
    }

    /// - Parameter shard: that answers the client now.
    func make(
        _ place: ToolPlace, _ caller: ToolCaller, _ revision: ProtocolRevision, _ capabilities: ClientCapabilities,
        shard: Int, now: Timestamp
    ) -> ToolSession {
        let origin = ToolSession.Origin(node: self.node, shard: shard)
        let plain = Plain(
            until: now + .seconds(Limits.ToolEndpoint.sessionSeconds), capabilities, revision, origin)
        let session = ToolSession(
            id: self.sealer.seal(plain.bytes, boundTo: Self.bound(place, caller)), place: place, caller: caller,
            revision: revision, capabilities: capabilities, origin: origin, now: now)
        self.add(session, now: now)
        return session
    }

    private static func bound(_ place: ToolPlace, _ caller: ToolCaller) -> [String] {
        ["apus session 2", place.text, caller.name]
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
            known.used(by: caller, now: now)
            return known
        }
        guard self.state.withLock({ $0.ended[id] }) == nil,
            let plain = self.sealer.open(id, boundTo: Self.bound(place, caller)).flatMap({ Plain($0) }),
            now < plain.until
        else { return nil }
        let session = ToolSession(
            id: id, place: place, caller: caller, revision: plain.revision, capabilities: plain.capabilities,
            origin: plain.origin, now: now)
        self.add(session, now: now)
        self.onMet.withLock { $0 }?(session)
        return session
    }

    /// The session of an id that another server of the same key speaks of; nil where it was never met here.
    func known(_ id: String, now: Timestamp) -> ToolSession? {
        let session = self.state.withLock { $0.sessions[id] }
        session?.used(now: now)
        return session
    }

    /// The client has ended it, here or elsewhere: its id opens no more.
    func end(_ id: String, now: Timestamp) {
        let session = self.state.withLock { state -> ToolSession? in
            if state.ended.count >= Limits.ToolEndpoint.endedSessions {
                state.ended = state.ended.filter { now < $0.value }
                if state.ended.count >= Limits.ToolEndpoint.endedSessions,
                    let oldest = state.ended.min(by: { $0.value < $1.value })
                {
                    state.ended[oldest.key] = nil
                }
            }
            state.ended[id] = now + .seconds(Limits.ToolEndpoint.sessionSeconds)
            return state.sessions.removeValue(forKey: id)
        }
        session?.close()
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

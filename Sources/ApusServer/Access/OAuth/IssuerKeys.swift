internal import ApusCore
internal import ApusCrypto

/// The keys of one issuer and when they are fetched. A machine: the last good ones are kept, whatever a fetch comes to.
struct IssuerKeys: Sendable {
    private enum Phase: Sendable {
        /// To `fetching`.
        case idle(last: Timestamp?)
        /// To `idle`, by what the fetch comes to.
        case fetching
    }

    enum Action: Equatable {
        case fetch
        case none
    }

    private var phase = Phase.idle(last: nil)
    private(set) var keys: KeySet?

    /// Time went by.
    mutating func tick(now: Timestamp) -> Action {
        let span = self.keys == nil ? Limits.Access.keysRetry : Limits.Access.keysRefresh
        return self.fetch(notBefore: span, now)
    }

    /// A token came that names a key which is not there: the issuer may have changed its keys. Anybody can send such tokens, so
    /// that they cause a fetch once in a while only.
    mutating func missed(now: Timestamp) -> Action {
        let span = self.keys == nil ? Limits.Access.keysRetry : Limits.Access.keysUnknown
        return self.fetch(notBefore: span, now)
    }

    /// - Parameter keys: nil when the fetch failed.
    mutating func fetched(_ keys: KeySet?, now: Timestamp) {
        self.phase = .idle(last: now)
        if let keys { self.keys = keys }
    }

    private mutating func fetch(notBefore span: TimeSpan, _ now: Timestamp) -> Action {
        guard case .idle(let last) = self.phase else { return .none }
        if let last, now < last + span { return .none }
        self.phase = .fetching
        return .fetch
    }
}

internal import ApusCore
internal import ApusCrypto
internal import ApusStore
internal import Synchronization

/// The sessions of all loops: a browser's next request may come to another one.
final class Sessions: Sendable {
    private let table = Mutex(SessionTable())

    /// A code for a login link.
    func makeCode(for token: TokenHash, now: Timestamp) throws(ApusError) -> String {
        let code = Random.token(bytes: 32)
        let hash = TokenHash(of: code)
        let failure = self.table.withLock { table -> ApusError? in
            do throws(ApusError) {
                try table.add(code: hash, for: token, now: now)
                return nil
            } catch { return error }
        }
        if let failure { throw failure }
        return code
    }

    /// - Returns: the id for the browser's cookie with the token behind it; nil for a code that does not hold.
    func redeem(_ code: String, now: Timestamp) throws(ApusError) -> (id: String, token: TokenHash)? {
        let id = Random.token(bytes: 32)
        let (hash, session) = (TokenHash(of: code), TokenHash(of: id))
        let result = self.table.withLock { table -> Result<TokenHash?, ApusError> in
            do throws(ApusError) {
                return .success(try table.redeem(hash, as: session, now: now))
            } catch { return .failure(error) }
        }
        return try result.get().map { (id, $0) }
    }

    func use(_ session: TokenHash, now: Timestamp) -> TokenHash? {
        self.table.withLock { $0.use(session, now: now) }
    }

    func token(of session: TokenHash, now: Timestamp) -> TokenHash? {
        self.table.withLock { $0.token(of: session, now: now) }
    }

    func end(_ session: TokenHash) { self.table.withLock { $0.end(session) } }
}

internal import ApusCore
internal import ApusHTTP

/// That a request was let in, kept with its connection: a client that asks the same again in the same name is let in without its
/// token being hashed and its path being read anew.
final class RememberedAdmission {
    let admission: Admission
    private let method: String
    private let path: String
    private let authorization: [UInt8]
    private let version: Int

    /// - Parameter version: of the principals by which it was decided.
    /// - Returns: nil for what is to be decided each time: requests without a token, and those whose head or the deploys since say what they need.
    init?(_ admission: Admission, of exchange: HTTPExchange, _ version: Int) {
        guard admission.credential?.isToken == true, let route = admission.route?.0, route.isSettledByPath,
            let authorization = exchange.header("Authorization")
        else { return nil }
        self.admission = admission
        self.method = exchange.method
        self.path = exchange.rawPath
        self.authorization = Array(authorization.utf8)
        self.version = version
    }

    func holds(for exchange: HTTPExchange, of version: Int, now: Timestamp) -> Bool {
        guard version == self.version, exchange.method == self.method, exchange.rawPath == self.path,
            exchange.hasHeader("Authorization", equalTo: self.authorization)
        else { return false }
        return self.admission.principal.expires.map { now < $0 } ?? true
    }
}

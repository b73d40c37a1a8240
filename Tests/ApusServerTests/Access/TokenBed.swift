import ApusCore
import ApusHTTP
import ApusJSON
import ApusLoop
import ApusStore
import Testing

@testable import ApusServer

/// A whole server with tokens that tests make.
struct TokenBed {
    let bed: ServerBed
    private let client: HTTPClient

    init(shards: Int = 1) throws {
        self.bed = try ServerBed(shards: shards)
        self.client = try HTTPClient()
    }

    var now: Timestamp { self.bed.server.clock.now }

    /// Makes a token past all checks, so that it can have ended already.
    func token(_ name: String, _ roles: [String], expires: Timestamp? = nil, isRevoked: Bool = false) throws -> String {
        let token = AccessToken.make()
        let name = try #require(ResourceName(.default, name))
        let principal = PrincipalDeployment(
            id: token.id, hash: token.hash, roles: RoleGrants(Set(try roles.map { try RoleGrant(parsing: $0) })),
            created: self.now, creator: "test", expires: expires)
        _ = try self.bed.server.control.perform(.createPrincipal(name, principal)).get()
        if isRevoked { _ = try self.bed.server.control.perform(.revokePrincipal(name)).get() }
        return token.text
    }

    /// - Parameter token: nil sends none.
    func ask(
        _ method: String, _ path: String, token: String?, headers: [HTTPHeader] = [], body: String? = nil
    ) throws -> HTTPResponse {
        let authorization = token.map { [HTTPHeader("Authorization", "Bearer \($0)")] } ?? []
        return try self.client.request(
            method, "http://127.0.0.1:\(self.bed.port)\(path)", headers: authorization + headers,
            body: body.map { Array($0.utf8) })
    }

    /// Makes a token over HTTP.
    func create(_ body: String, in namespace: String = "default", with token: String) throws -> HTTPResponse {
        try self.ask("POST", "/v1/namespaces/\(namespace)/tokens", token: token, body: body)
    }
}

import ApusCore
import ApusHTTP
import ApusTestSupport

/// Requests to a server under test, as a client of its HTTP API sends them.
struct Caller {
    let url: String
    let token: String
    private let client: HTTPClient

    init(_ server: TestServer) throws {
        self.url = server.url
        let text = String(decoding: try readFile("\(server.data)/run/admin.token"), as: UTF8.self)
        self.token = String(text.prefix { !$0.isWhitespace })
        self.client = try HTTPClient()
    }

    /// - Parameter isKnown: whether the request carries the token.
    func send(
        _ method: String, _ path: String, _ headers: [String: String] = [:], body: String? = nil, isKnown: Bool = true
    ) throws -> HTTPResponse {
        var all = headers.map { HTTPHeader($0.key, $0.value) }
        if isKnown { all.append(HTTPHeader("Authorization", "Bearer \(self.token)")) }
        return try self.client.request(method, self.url + path, headers: all, body: body.map { Array($0.utf8) })
    }
}

extension HTTPResponse {
    var text: String { String(decoding: self.body, as: UTF8.self) }
}

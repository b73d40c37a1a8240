internal import ApusCore
internal import ApusHTTP

/// Requests over HTTP to one server, by the blocking client.
final class HTTPTransport: Transport {
    private let client: HTTPClient
    private let server: ServerAddress

    /// - Parameter authorities: a file of certificates to trust instead of the system's.
    init(server: ServerAddress, authorities: String? = nil) throws(ApusError) {
        var configuration = HTTPClient.Configuration()
        configuration.authorities = authorities
        self.client = try HTTPClient(configuration: configuration)
        self.server = server
    }

    func send(_ request: APIRequest) throws(ApusError) -> APIResponse {
        Self.response(
            try self.client.request(
                request.method.rawValue, self.url(request), headers: Self.headers(request), body: request.body)
        )
    }

    func stream(
        _ request: APIRequest, onHead: @escaping (APIResponse) -> Void, onChunk: @escaping ([UInt8]) -> Bool
    ) throws(ApusError) -> APIResponse {
        Self.response(
            try self.client.stream(
                request.method.rawValue, self.url(request), headers: Self.headers(request), body: request.body,
                onHead: { onHead(Self.response($0)) }, onChunk: onChunk
            )
        )
    }

    private func url(_ request: APIRequest) -> String { self.server.url + request.target }

    private static func headers(_ request: APIRequest) -> [HTTPHeader] {
        request.headers.map { HTTPHeader($0.name, $0.value) }
    }

    private static func response(_ response: HTTPResponse) -> APIResponse {
        APIResponse(status: response.status, headers: response.headers.map { ($0.name, $0.value) }, body: response.body)
    }
}

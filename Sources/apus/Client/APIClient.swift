internal import ApusCore
internal import ApusJSON

/// The server's API as commands use it: paths of a namespace, whole answers or streams, problems as errors.
final class APIClient {
    /// A whole answer that is larger is not one of ours.
    static let answerBytes = 64 << 20

    let transport: any Transport
    let namespace: Namespace
    /// For messages.
    let server: String
    private let token: String?
    /// Said when the server wants a token: where it was looked for.
    private let tokenHint: String

    init(transport: any Transport, namespace: Namespace, server: String, token: String?, tokenHint: String) {
        self.transport = transport
        self.namespace = namespace
        self.server = server
        self.token = token
        self.tokenHint = tokenHint
    }

    /// `/v1/…` in the namespace, each segment encoded.
    func path(_ segments: String...) -> String {
        let prefix = self.namespace == .default ? "/v1" : "/v1/namespaces/\(self.namespace)"
        return ([prefix] + segments.map(PercentEncoding.encode)).joined(separator: "/")
    }

    /// Sends and waits for the whole answer.
    /// - Throws: the server's problem as an ``ApusError``, `server_unreachable`.
    func call(_ request: APIRequest) throws(ApusError) -> APIResponse { try self.finish(try self.start(request)) }

    func start(_ request: APIRequest) throws(ApusError) -> Int {
        var request = request
        if let token = self.token { request.headers.append(("Authorization", "Bearer \(token)")) }
        return try self.transport.start(request)
    }

    /// Waits for the whole answer of a started request, the only one under way.
    func finish(_ ticket: Int) throws(ApusError) -> APIResponse {
        var response = APIResponse(status: 0, headers: [], body: [])
        while true {
            let (source, event) = self.transport.next()
            guard source == ticket else { continue }
            switch event {
            case .head(let status, let headers): (response.status, response.headers) = (status, headers)
            case .body(let bytes):
                guard response.body.count + bytes.count <= Self.answerBytes else {
                    self.transport.cancel(ticket)
                    throw ApusError(.resultTooLarge, "the answer of \(self.server) is larger than \(Self.answerBytes) bytes")
                }
                response.body += bytes
            case .failed(let error): throw error
            case .end:
                guard (200..<300).contains(response.status) else { throw self.problem(response) }
                return response
            }
        }
    }

    /// Sends and hands on the answer piece by piece, once its head said that it is a success.
    /// - Parameter onHead: gets the response without its body.
    /// - Parameter onBody: false leaves.
    func stream(
        _ request: APIRequest, onHead: (APIResponse) throws -> Void = { _ in }, onBody: ([UInt8]) throws -> Bool
    ) throws {
        let ticket = try self.start(request)
        var response = APIResponse(status: 0, headers: [], body: [])
        var isOver = false
        // Whatever ends this, nothing of the request comes up in a later one.
        defer { if !isOver { self.transport.cancel(ticket) } }
        while true {
            let (source, event) = self.transport.next()
            guard source == ticket else { continue }
            switch event {
            case .head(let status, let headers):
                (response.status, response.headers) = (status, headers)
                if (200..<300).contains(status) { try onHead(response) }
            case .body(let bytes):
                if (200..<300).contains(response.status) {
                    guard try onBody(bytes) else { return }
                } else if response.body.count + bytes.count <= Self.answerBytes {
                    response.body += bytes
                }
            case .failed(let error):
                isOver = true
                throw error
            case .end:
                isOver = true
                guard (200..<300).contains(response.status) else { throw self.problem(response) }
                return
            }
        }
    }

    private func problem(_ response: APIResponse) -> ApusError {
        let json: JSONValue?
        do throws(ApusError) { json = try JSONValue.parse(response.body, refusesDuplicates: false) } catch { json = nil }
        guard let json, let name = json["code"]?.string else {
            let code: ErrorCode = response.status == 404 ? .notFound : response.status == 401 ? .unauthenticated : .internal
            return ApusError(code, "\(self.server) answered with status \(response.status) and no reason: is it an apus server?")
        }
        var message = json["detail"]?.string ?? json["title"]?.string ?? "status \(response.status)"
        for line in json["errors"]?.array ?? [] { message += "\n\(line.string ?? "")" }
        guard let code = ErrorCode(rawValue: name) else {
            // A newer server's code: kept in the message, since it has no value here.
            return ApusError(response.status == 404 ? .notFound : .internal, "\(message) (\(name))")
        }
        if code == .unauthenticated { message += "; \(self.tokenHint)" }
        return ApusError(code, message)
    }
}

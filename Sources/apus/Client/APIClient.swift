internal import ApusCore
internal import ApusJSON

/// The server's API as commands use it: paths of a namespace, whole answers or streams, problems as errors.
final class APIClient {
    let transport: any Transport
    let namespace: Namespace
    /// For messages.
    let server: String
    private let token: String?
    /// Said when the server wants a token: where it was looked for.
    private let tokenHint: String
    /// Where the last write is: what is read from here on shows it, also on another server of the same cluster.
    var position: String?

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
    func call(_ request: APIRequest) throws(ApusError) -> APIResponse {
        let response = try self.transport.send(self.authorised(request))
        guard response.isSuccess else { throw self.problem(response) }
        if request.method != .get, let position = response.header("Apus-Position") { self.position = position }
        return response
    }

    /// Sends and hands on the answer piece by piece.
    /// - Parameter onHead: gets status and headers before any of the body, of errors too.
    /// - Parameter onChunk: false leaves. What it throws ends the request and is thrown on.
    func stream(
        _ request: APIRequest, onHead: @escaping (APIResponse) -> Void = { _ in },
        onChunk: @escaping ([UInt8]) throws -> Bool
    ) throws {
        var thrown: (any Error)?
        let response = try self.transport.stream(self.authorised(request), onHead: onHead) { chunk in
            do { return try onChunk(chunk) } catch {
                thrown = error
                return false
            }
        }
        if let thrown { throw thrown }
        guard response.isSuccess else { throw self.problem(response) }
    }

    private func authorised(_ request: APIRequest) -> APIRequest {
        var request = request
        if request.method == .get, let position = self.position {
            request.headers.append(("Apus-Position", position))
        }
        guard let token = self.token else { return request }
        request.headers.append(("Authorization", "Bearer \(token)"))
        return request
    }

    private func problem(_ response: APIResponse) -> ApusError {
        let json: JSONValue?
        do throws(ApusError) { json = try JSONValue.parse(response.body, refusesDuplicates: false) } catch {
            json = nil
        }
        guard let json, let name = json["code"]?.string else {
            let code: ErrorCode =
                response.status == 404 ? .notFound : response.status == 401 ? .unauthenticated : .internal
            return ApusError(
                code, "\(self.server) answered with status \(response.status) and no reason: is it an apus server?")
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

internal import ApusCore
internal import ApusHTTP
internal import ApusStore

/// The event that a request to an HTTP trigger becomes: a CloudEvent is taken as it is, anything else is wrapped. The request
/// itself travels in headers of the event.
enum HTTPTriggerRequest {
    /// Never given to a function: what proves who the caller is, what concerns this connection only, and what is said otherwise.
    private static let withheld: Set<String> = [
        "authorization", "cookie", "proxy-authorization", "connection", "keep-alive", "proxy-connection", "te",
        "trailer",
        "transfer-encoding", "upgrade", "expect",
    ]

    struct Head {
        var method: String
        /// Below `/fn`, decoded.
        var path: String
        var parameters: RouteParameters
        var rawPath: String
        var rawQuery: String?
        var headers: [HTTPHeader]
    }

    /// - Throws: `invalid_argument` for a query that cannot be decoded, and what ``CloudEventDecoder`` throws.
    static func event(_ head: Head, body: [UInt8], id: InvocationID) throws(ApusError) -> Event {
        do throws(RequestQuery.Failure) { _ = try RequestQuery(parsing: head.rawQuery) } catch {
            throw ApusError(.invalidArgument, "the query cannot be read: \(error.message)")
        }
        let defaults = CloudEventDecoder.Defaults(
            id: id.description, source: head.rawPath, type: "dev.apus.http.request")
        let events = try CloudEventDecoder.events(headers: head.headers, body: body, defaults: defaults)
        guard events.count == 1 else { throw ApusError(.invalidEvent, "an HTTP trigger takes exactly one event") }
        var event = events[0]
        event.attributes += Self.attributes(of: head)
        try EventBlock.check(event)
        return event
    }

    private static func attributes(of head: Head) -> [Attribute] {
        var attributes = [
            Attribute(HTTPTriggerHeader.method, head.method, kind: .header),
            Attribute(HTTPTriggerHeader.path, head.path, kind: .header),
        ]
        for (name, value) in head.parameters.all {
            attributes.append(Attribute(HTTPTriggerHeader.parameter + name, value, kind: .header))
        }
        if let query = head.rawQuery {
            attributes.append(Attribute(HTTPTriggerHeader.query, query, kind: .header))
        }
        for header in head.headers {
            let name = header.name.lowercased()
            if self.withheld.contains(name) || name.hasPrefix(InternalHeader.prefix) || name.hasPrefix("ce-") {
                continue
            }
            attributes.append(Attribute(name, header.value, kind: .header))
        }
        return attributes
    }
}

/// Names of the headers that carry a request to a function, and its answer's status back.
enum HTTPTriggerHeader {
    static let method = "apus-http-method"
    static let path = "apus-http-path"
    static let query = "apus-http-query"
    /// A parameter's name follows.
    static let parameter = "apus-http-param-"
    static let status = "apus-http-status"
}

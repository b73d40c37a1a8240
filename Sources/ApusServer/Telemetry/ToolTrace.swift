internal import ApusCore
internal import ApusHTTP
internal import ApusTelemetry
internal import ApusTools

/// Where in a trace a request of an agent is: its caller says so in the message, or else in the head of the request that brings it. What runs for
/// it goes on from there.
struct ToolTrace: Sendable {
    let decision: TraceDecision

    static let none = ToolTrace(decision: .none)

    private init(decision: TraceDecision) { self.decision = decision }

    /// - Parameter exchange: nil where a function makes the request.
    init(_ request: ToolRequest, _ exchange: HTTPExchange?, _ tracer: Tracer?) {
        let (envelope, parameters) = (request.envelope, request.envelope.parameters)
        let said = envelope.text(parameters.traceparent).flatMap { TraceContext($0) }
        self.decision = .of(
            said ?? exchange?.header(TraceContext.header).flatMap { TraceContext($0) },
            isAnonymous: exchange?.isAnonymous ?? false, tracer
        ) {
            said == nil
                ? exchange?.header(TraceContext.stateHeader)
                : envelope.text(envelope.member(TraceContext.stateHeader, of: parameters.meta))
        }
    }

    /// What runs for the request is told to come from here.
    var context: TraceContext? { self.decision.carried?.context }

    /// The same, as `traceparent` says it.
    var text: String? { self.context?.description }

    /// The record of what took from `start` until now, by the names of OpenTelemetry's conventions for MCP.
    func span(
        of request: ToolRequest, tool: String?, _ status: OperationDurations.Status, error: RPCError.Code?, start: Timestamp,
        end: Timestamp
    ) -> Span? {
        guard case .record(let context, let parent, let state) = self.decision else { return nil }
        let method = request.method.rawValue
        let target = tool ?? (request.method == .getPrompt ? request.envelope.text(request.envelope.parameters.name) : nil)
        var attributes = [
            Span.Attribute("mcp.method.name", method), Span.Attribute("rpc.system", "jsonrpc"),
            Span.Attribute("jsonrpc.request.id", String(decoding: request.id.token.prefix(64), as: UTF8.self)),
            Span.Attribute("apus.namespace", request.place.namespace.name),
        ]
        if let tool {
            attributes += [Span.Attribute("gen_ai.tool.name", tool), Span.Attribute("gen_ai.operation.name", "execute_tool")]
        } else if let target {
            attributes.append(Span.Attribute("gen_ai.prompt.name", String(target.prefix(128))))
        }
        if let server = request.place.server { attributes.append(Span.Attribute("apus.tool_server", server)) }
        var span = Span(
            target.map { "\(method) \($0.prefix(128))" } ?? method, .server, context, parent: parent, state: state,
            start: start, end: end, attributes: attributes)
        switch status {
        case .ok, .inputRequired: break
        case .toolError, .cancelled: span.fail(status.rawValue)
        case .error:
            span.fail(error.map { "\($0.rawValue)" } ?? status.rawValue)
            if let error { span.attributes.append(Span.Attribute("rpc.jsonrpc.error_code", error.rawValue)) }
        }
        return span
    }
}

extension Span {
    /// - Parameter type: a word, or a number as text.
    fileprivate mutating func fail(_ type: String) {
        self.failure = type
        self.attributes.append(Span.Attribute("error.type", type))
    }
}

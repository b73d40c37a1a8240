internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusTools

/// The tools that the function of one call calls while it runs. Each goes the way of a call by an agent: the rights, bounds and tool
/// server of whoever made the outer call, schemas, the audit, a sandbox of its own. Confined to the loop of the call.
final class InnerCalls {
    private let endpoint: ToolEndpoint
    private let outer: ToolRequest
    /// Where in a trace the outer call is.
    private let trace: String?
    private var budget: InnerCallBudget
    /// By the number that the function gave it.
    private var open: [UInt32: ToolReply] = [:]
    private var isClosed = false

    static let left = Failure(.cancelled, "the call within which this one was made is over")

    init(_ endpoint: ToolEndpoint, _ outer: ToolRequest, _ trace: ToolTrace, isInner: Bool) {
        self.endpoint = endpoint
        self.outer = outer
        self.trace = trace.text ?? outer.envelope.text(outer.envelope.parameters.traceparent)
        self.budget = InnerCallBudget(isInner: isInner)
    }

    func begin(_ call: FunctionCall) {
        guard !self.isClosed else { return call.answer(.failure(Self.left)) }
        // A worker numbers its calls anew where another attempt follows one that was given up.
        guard self.open[call.number] == nil else { return call.answer(.failure(Self.left)) }
        let envelope: Envelope
        do throws(ApusError) {
            envelope = try InnerCallMessage.envelope(
                call.json, number: call.number, traceparent: self.trace)
        } catch { return call.answer(.failure(Failure(error.code, error.message))) }
        guard let id = envelope.id else { return call.answer(.failure(Self.left)) }
        if let refusal = self.budget.begin() {
            return call.answer(.failure(Failure(.limitReached, refusal.text)))
        }
        // It asks nobody anything: there is only the function.
        let request = ToolRequest(
            envelope: envelope, id: id, method: .callTool, era: .modern, capabilities: [], logLevel: nil,
            place: self.outer.place, caller: self.outer.caller, session: nil)
        let reply = ToolReply(id, self.endpoint.registry.modern, self.endpoint.runtime) { [weak self] answer in
            self?.ended(call, answer)
        }
        self.open[call.number] = reply
        self.endpoint.perform(request, reply)
    }

    private func ended(_ call: FunctionCall, _ answer: Result<[UInt8], RPCError>) {
        guard self.open.removeValue(forKey: call.number) != nil else { return }
        switch answer {
        case .success(let json):
            if let refusal = self.budget.end(bytes: json.count) {
                return call.answer(.failure(Failure(.limitReached, refusal.text)))
            }
            call.answer(.result(json))
        case .failure(let error):
            _ = self.budget.end(bytes: 0)
            call.answer(.failure(Failure(Self.code(error), error.message)))
        }
    }

    private static func code(_ error: RPCError) -> ErrorCode {
        switch error.code {
        case .invalidParams: .invalidArgument
        case .missingCapability, .invalidRequest: .notYetSupported
        case .forbidden: .forbidden
        case .rateLimited: .overloaded
        case .unavailable: .notReady
        default: .internal
        }
    }

    /// Ends what runs; nobody waits for it.
    func abandon() {
        let open = self.open
        self.open = [:]
        for reply in open.values {
            _ = self.budget.end(bytes: 0)
            reply.giveUp()
        }
    }

    /// The outer call is over: so is everything that it called.
    func close() {
        self.isClosed = true
        self.abandon()
    }
}

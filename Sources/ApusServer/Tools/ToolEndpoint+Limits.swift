internal import ApusCore
internal import ApusManifest
internal import ApusTools
internal import Synchronization

/// Keeps callers to their bounds: their own, and those of the tool server that they ask.
extension ToolEndpoint {
    /// What a model is told that has to wait.
    struct Wait {
        let text: String
        /// Members of `_meta`.
        let meta: [UInt8]
        /// For the audit.
        let bound: CallLimits.Bound
        let retryAfter: TimeSpan

        /// For what is no call of a tool, and so no model reads.
        var error: RPCError {
            RPCError(
                .rateLimited, self.text, data: Array(#"{"retryAfterMs":\#(self.retryAfter.milliseconds)}"#.utf8), status: 429,
                retryAfter: self.retryAfter)
        }
    }

    /// The same for a prompt, a resource or a completion that a function makes.
    /// - Throws: what to tell a caller that has to wait.
    func admitOther(_ request: ToolRequest, _ reply: ToolReply) throws(RPCError) {
        if let wait = self.admit(request, reply) { throw wait.error }
    }

    /// Counts a call until its answer is complete.
    /// - Returns: what to tell a caller that has to wait; nil when it may go on.
    func admit(_ request: ToolRequest, _ reply: ToolReply) -> Wait? {
        let (registry, now) = (self.registry, self.runtime.now)
        // Its own bounds hold wherever it asks, those of a tool server there.
        var counted = [(ToolRegistry.account(of: request.caller.name, in: request.place.namespace), request.caller.bounds)]
        if let name = request.place.server, let server = self.catalog(request.place.namespace).server(named: name) {
            counted.append(("\(request.place.text)#\(request.caller.name)", CallBounds(server.bounds)))
        }
        return registry.limits.withLock { limits in
            for (index, (name, bounds)) in counted.enumerated() {
                if case .refused(let refusal) = limits.begin(name, bounds, now: now) {
                    for (name, _) in counted[..<index] { limits.end(name) }
                    return Wait(refusal, currency: self.server.configuration.pool.prices.currency)
                }
            }
            let names = counted.map(\.0)
            reply.onClose = { registry.limits.withLock { limits in for name in names { limits.end(name) } } }
            return nil
        }
    }
}

extension ToolEndpoint.Wait {
    fileprivate init(_ refusal: CallLimits.Refusal, currency: String) {
        let milliseconds = max(1, refusal.retryAfter.milliseconds)
        self.bound = refusal.bound
        self.retryAfter = .milliseconds(milliseconds)
        let bound =
            switch refusal.bound {
            case .callsPerMinute: "\(refusal.limit) calls a minute"
            case .concurrent: "\(refusal.limit) calls at once"
            case .callsPerDay: "\(refusal.limit) calls a day"
            case .budgetPerDay: "calls for \(Money(billionths: refusal.limit).text) \(currency) a day, and made them"
            }
        self.text = "This caller may make \(bound). Try again in \(self.retryAfter.retrySeconds) s."
        self.meta = Array(#""dev.apus/retryAfterMs":\#(milliseconds)"#.utf8)
    }
}

extension ToolRegistry {
    /// As whom a caller is counted wherever it asks.
    static func account(of caller: String, in namespace: Namespace) -> String { "\(namespace)#\(caller)" }

    /// What ran for a caller counts against its budget, from any thread.
    func charge(_ caller: String, in namespace: Namespace, for function: ResourceName, running: TimeSpan, now: Timestamp) {
        let cost = self.rates.cost(of: function, running: running)
        guard cost > .zero else { return }
        self.limits.withLock { $0.charge(Self.account(of: caller, in: namespace), cost, now: now) }
    }
}

extension CallBounds {
    fileprivate init(_ bounds: ToolServerManifest.Bounds) {
        self.init(
            callsPerMinute: bounds.callsPerSecond.map { Int64($0) * 60 },
            concurrent: bounds.concurrency.map(Int64.init),
            callsPerDay: bounds.callsPerDay.map(Int64.init))
    }
}

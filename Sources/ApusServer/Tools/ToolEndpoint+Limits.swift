internal import ApusCore
internal import ApusManifest
internal import ApusTools
internal import Synchronization

/// Keeps callers to their bounds: their own, those of the tool server that they ask, and those of the tool that they call.
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
    /// - Parameter tool: nil for what is no call of a tool.
    /// - Returns: what to tell a caller that has to wait; nil when it may go on.
    func admit(_ request: ToolRequest, _ reply: ToolReply, of tool: Tool? = nil) -> Wait? {
        let (registry, now) = (self.registry, self.runtime.now)
        let counted = self.counted(request, tool)
        return registry.limits.withLock { limits in
            for (index, count) in counted.enumerated() {
                if case .refused(let refusal) = limits.begin(count.name, count.bounds, now: now) {
                    for count in counted[..<index] { limits.end(count.name) }
                    return Wait(refusal, count.what, currency: self.server.configuration.pool.prices.currency)
                }
            }
            let names = counted.map(\.name)
            reply.onClose = { registry.limits.withLock { limits in for name in names { limits.end(name) } } }
            return nil
        }
    }

    /// As whom a call is counted, and within which bounds.
    private struct Counted {
        let name: String
        let bounds: CallBounds
        /// Of which calls the bounds are, for whoever has to wait.
        var what = ""
    }

    /// A caller's own bounds hold wherever it asks, those of a tool server there, those of a tool wherever it is offered.
    private func counted(_ request: ToolRequest, _ tool: Tool?) -> [Counted] {
        let (place, caller) = (request.place, request.caller)
        var counted = [Counted(name: ToolRegistry.account(of: caller.name, in: place.namespace), bounds: caller.bounds)]
        if let name = place.server, let server = self.catalog(place.namespace).server(named: name) {
            counted.append(Counted(name: "\(place.text)#\(caller.name)", bounds: CallBounds(server.bounds), what: " of this server"))
        }
        // No name of another account begins so.
        if let tool, tool.bounds != ToolManifest.Bounds() {
            counted.append(
                Counted(
                    name: "\(place.namespace)|\(tool.name)#\(caller.name)", bounds: CallBounds(tool.bounds),
                    what: " of the tool '\(tool.name)'"))
        }
        return counted
    }
}

extension ToolEndpoint.Wait {
    /// - Parameter what: as `of this server`, with a space before it; empty for all calls of the caller.
    fileprivate init(_ refusal: CallLimits.Refusal, _ what: String, currency: String) {
        let milliseconds = max(1, refusal.retryAfter.milliseconds)
        self.bound = refusal.bound
        self.retryAfter = .milliseconds(milliseconds)
        let bound =
            switch refusal.bound {
            case .callsPerMinute: "\(refusal.limit) calls\(what) a minute"
            case .concurrent: "\(refusal.limit) calls\(what) at once"
            case .callsPerDay: "\(refusal.limit) calls\(what) a day"
            case .budgetPerDay: "calls\(what) for \(Money(billionths: refusal.limit).text) \(currency) a day, and made them"
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
    fileprivate init(_ bounds: ToolManifest.Bounds) {
        self.init(
            callsPerMinute: bounds.callsPerSecond.map { Int64($0) * 60 },
            concurrent: bounds.concurrency.map(Int64.init),
            callsPerDay: bounds.callsPerDay.map(Int64.init))
    }
}

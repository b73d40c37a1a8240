internal import ApusCore
internal import ApusEngine
internal import ApusHTTP
internal import ApusHost
internal import ApusLoop
internal import ApusTelemetry

/// Running a function for a caller that waits, whichever way it came.
extension Routes {
    func addInvoke(to table: inout RouteTable) {
        table.add(Operation("invokeFunction", "POST", "/v1/functions/{name}/invoke", "Runs a function.", .call)) {
            self.invoke($0, $1)
        }
    }

    private func invoke(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let call = InvocationCall(
                function: try self.function(parameters), id: self.runtime.invocationIDs.next(), way: .direct)
            // First, so that a wrong name is told before a wrong event.
            let entry = try self.entry(call.function)
            if entry.isForApproval, self.principal(of: exchange).agent != nil {
                throw ApusError(
                    .forbidden, "a person is asked before '\(call.function)' begins: agents call it as the tool it is")
            }
            if let plain = PlainInvocation(exchange), let block = plain.block(call.identity, body: exchange.body) {
                return try self.call(call, block, isTraced: plain.isTraced, entry, exchange)
            }
            let headers = exchange.headers
            let defaults = CloudEventDecoder.Defaults(
                id: call.identity, source: PlainInvocation.source, type: PlainInvocation.eventType)
            let events = try CloudEventDecoder.events(headers: headers, body: exchange.body, defaults: defaults)
            guard events.count == 1 else { throw ApusError(.invalidEvent, "an invocation takes exactly one event") }
            try self.call(call, events[0], headers, exchange)
        }
    }

    private func entry(_ function: ResourceName) throws(ApusError) -> FunctionDirectory.Entry {
        guard let entry = self.runtime.directory[function] else {
            throw ApusError(.functionNotFound, "the function '\(function)' is not deployed: see `apus get functions`")
        }
        return entry
    }

    /// An invocation without preferences, whose event is a block already.
    private func call(
        _ call: InvocationCall, _ block: [UInt8], isTraced: Bool, _ entry: FunctionDirectory.Entry,
        _ exchange: HTTPExchange
    ) throws(ApusError) {
        var block = block
        if isTraced || self.server.tracer != nil {
            var events = [QuickBatch.Event(block: block, hasKey: false)]
            self.trace(&events, exchange, Self.spanName(call, exchange), Self.spanAttributes(call))
            block = events[0].block
        }
        if entry.isPaused { throw call.function.isPausedError }
        let deadline = InvocationPreferences().deadline(now: self.runtime.shard.now, timeout: entry.timeout)
        if entry.isElsewhere, let event = try? EventBlock.decode(block.span.bytes) {
            return self.callElsewhere(call, event, deadline, exchange)
        }
        self.run(block, call, entry, deadline, exchange)
    }

    private static func spanName(_ call: InvocationCall, _ exchange: HTTPExchange) -> String {
        call.isTrigger ? "\(exchange.method) /fn/{path}" : "POST /v1/functions/{name}/invoke"
    }

    private static func spanAttributes(_ call: InvocationCall) -> [Span.Attribute] {
        [
            Span.Attribute("faas.invoked_name", call.function.name),
            Span.Attribute("apus.namespace", call.function.namespace.name),
            Span.Attribute("faas.invocation_id", call.identity),
        ]
    }

    /// Every other invocation over HTTP goes through here, with the event that its function gets.
    func call(_ call: InvocationCall, _ event: Event, _ headers: [HTTPHeader], _ exchange: HTTPExchange)
        throws(ApusError)
    {
        let entry = try self.entry(call.function)
        let preferences = try InvocationPreferences(headers)
        var event = event
        self.trace(&event, exchange, Self.spanName(call, exchange), Self.spanAttributes(call))
        if preferences.respondsAsync { return try self.acceptInvocation(exchange, call.function, event) }
        if entry.isPaused { throw call.function.isPausedError }
        let deadline = preferences.deadline(now: self.runtime.shard.now, timeout: entry.timeout)
        if entry.isElsewhere { return self.callElsewhere(call, event, deadline, exchange) }
        self.run(EventBlock.encode(event), call, entry, deadline, exchange)
    }

    /// An invocation of a function of this shard never leaves the thread; another's goes there and its answer comes back.
    private func run(
        _ block: [UInt8], _ call: InvocationCall, _ entry: FunctionDirectory.Entry, _ deadline: Timestamp,
        _ exchange: HTTPExchange
    ) {
        let runtime = self.runtime
        let answer = InvocationAnswer(exchange, call, runtime.callers, now: runtime.shard.now)
        var invocation = ShardInvocation(
            shards: self.server.shards, runtime: runtime, entry: entry, id: call.id, deadline: deadline)
        invocation.owner = ShardInvocation.owner(of: self.principal(of: exchange).name, in: call.function.namespace)
        answer.follow(now: { runtime.shard.now }, invocation.begin(block, sink: answer))
    }
}

internal import ApusCore
internal import ApusHTTP
internal import ApusHost
internal import ApusTelemetry

/// What a request that brings events means for their traces.
enum TraceDecision: Equatable {
    /// Nothing is known of a trace, and none begins.
    case none
    /// Events carry the context on; nothing is recorded here.
    case pass(TraceContext, state: String?)
    /// The request has a span, which is what its events come from.
    case record(TraceContext, parent: SpanID?, state: String?)

    /// - Parameters:
    ///   - incoming: the request's own header.
    ///   - origin: where the only event of the request says that its trace began; the header counts for more.
    ///   - startsTrace: nil when nothing is recorded by this server; else whether a trace may begin.
    static func of(
        incoming: TraceContext?, origin: TraceContext?, state: String?, startsTrace: (() -> Bool)?
    ) -> TraceDecision {
        let parent = incoming ?? origin
        if let startsTrace, parent?.isSampled ?? startsTrace() {
            let context = TraceContext(trace: parent?.trace ?? .random(), span: .random(), isSampled: true)
            return .record(context, parent: parent?.span, state: state)
        }
        return incoming.map { .pass($0, state: state) } ?? .none
    }

    /// - Parameters:
    ///   - incoming: where the caller says that it comes from.
    ///   - state: what it says beside that.
    ///   - tracer: nil where this server records nothing.
    static func of(
        _ incoming: TraceContext?, isAnonymous: Bool, origin: TraceContext? = nil, _ tracer: Tracer?, state: () -> String?
    ) -> TraceDecision {
        var incoming = incoming
        // Whoever has no token may take part in a trace, but not have everything recorded.
        if isAnonymous, incoming?.isSampled ?? false, let tracer, !tracer.startsTrace() { incoming?.isSampled = false }
        guard incoming != nil || tracer != nil else { return .none }
        return .of(
            incoming: incoming, origin: origin, state: incoming == nil ? nil : state().flatMap { TraceState.checked($0) },
            startsTrace: tracer.map { $0.startsTrace })
    }

    /// What events that do not say themselves where they come from are given.
    var carried: (context: TraceContext, state: String?)? {
        switch self {
        case .none: nil
        case .pass(let context, let state), .record(let context, _, let state): (context, state)
        }
    }
}

extension Routes {
    /// Decides on the trace of a request that brings one event, and puts the event into it.
    /// - Parameter name: the span's: `POST /v1/functions/{name}/invoke`.
    func trace(
        _ event: inout Event, _ exchange: HTTPExchange, _ name: String,
        _ attributes: @autoclosure () -> [Span.Attribute]
    ) {
        let origin = event[TraceContext.header].flatMap { TraceContext($0) }
        let decision = self.decide(exchange, origin: origin)
        guard let carried = decision.carried else { return }
        event.attributes.removeAll {
            $0.kind == .header && ($0.name == TraceContext.header || $0.name == TraceContext.stateHeader)
        }
        let room = Limits.attributesPerEvent - event.attributes.count
        guard room >= 2, EventBlock.attributesSize(event.attributes) < Limits.attributesBytes - 1_024 else { return }
        event.attributes.append(Attribute(TraceContext.header, carried.context.description, kind: .header))
        if let state = carried.state {
            event.attributes.append(Attribute(TraceContext.stateHeader, state, kind: .header))
        }
        let links = origin.map { $0.trace == carried.context.trace ? [] : [$0] } ?? []
        self.record(decision, links, exchange, name, attributes())
    }

    /// The same for events that are blocks already, of a request that publishes them.
    func trace(
        _ events: inout [QuickBatch.Event], _ exchange: HTTPExchange, _ name: String,
        _ attributes: @autoclosure () -> [Span.Attribute]
    ) {
        let only = events.count == 1 ? events[0].block.withUnsafeBytes { EventTrace($0) } : nil
        let decision = self.decide(exchange, origin: only?.context)
        guard let carried = decision.carried else { return }
        let isTransported = exchange.header(TraceContext.header) != nil
        var links: [TraceContext] = []
        for index in events.indices {
            let origin = events[index].block.withUnsafeBytes { EventTrace.isMarked($0) ? EventTrace($0)?.context : nil }
            if let origin, origin.trace != carried.context.trace, links.count < Limits.Telemetry.linksPerSpan {
                links.append(origin)
            }
            // An event of a batch that says where it comes from goes on from there, unless the request itself says more.
            if origin != nil, !isTransported, events.count > 1 { continue }
            events[index].block = events[index].block.withUnsafeBytes {
                EventTrace.rewritten($0, carried.context, state: carried.state, isMarked: true)
            }
        }
        self.record(decision, links, exchange, name, attributes())
    }

    private func decide(_ exchange: HTTPExchange, origin: TraceContext?) -> TraceDecision {
        .of(
            exchange.header(TraceContext.header).flatMap { TraceContext($0) }, isAnonymous: exchange.isAnonymous,
            origin: origin, self.server.tracer
        ) { exchange.header(TraceContext.stateHeader) }
    }

    /// The span ends with the answer's head, which also tells the caller of it.
    private func record(
        _ decision: TraceDecision, _ links: [TraceContext], _ exchange: HTTPExchange, _ name: String,
        _ attributes: [Span.Attribute]
    ) {
        guard case .record(let context, let parent, let state) = decision, let tracer = self.server.tracer else {
            return
        }
        exchange.add(header: "traceresponse", context.description)
        let shard = self.runtime.shard
        let (method, route) = (exchange.method, name.split(separator: " ").last.map(String.init) ?? name)
        exchange.onAnswered = { exchange in
            let end = shard.now
            let start = Timestamp(microseconds: end.microseconds - exchange.elapsed.microseconds)
            var span = Span(
                name, .server, context, parent: parent, state: state, start: start, end: end,
                attributes: [
                    Span.Attribute("http.request.method", method), Span.Attribute("http.route", route),
                    Span.Attribute("url.path", exchange.rawPath),
                    Span.Attribute("http.response.status_code", Int(exchange.status)),
                ] + attributes)
            span.links = links
            if exchange.status >= 500 {
                span.failure = "HTTP status \(exchange.status)"
                span.attributes.append(Span.Attribute("error.type", "\(exchange.status)"))
            }
            tracer.record(span)
        }
    }
}

extension EventTrace {
    /// Whether a block says that its event is sampled: a look at one word.
    static func isMarked(_ block: UnsafeRawBufferPointer) -> Bool { EventBlock.isSampled(block) }
}

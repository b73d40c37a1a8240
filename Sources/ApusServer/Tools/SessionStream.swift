internal import ApusCore
internal import ApusHTTP
internal import ApusLoop
internal import ApusTools

/// A stream of a session that its client reads by GET: kept alive, and ended with the server. Confined to the loop of its exchange.
final class SessionStream: EndableStream {
    private let exchange: HTTPExchange
    private let stream: KeptStream
    private let session: ToolSession
    private var principal: Principal?
    private let reader: ClientReader
    private let runtime: ShardRuntime
    private var timer: LoopTimer?
    private var isOpen = true

    init(
        _ exchange: HTTPExchange, _ stream: KeptStream, _ reader: ClientReader, of session: ToolSession,
        _ runtime: ShardRuntime
    ) {
        self.session = session
        self.principal = (exchange.admission as? Admission)?.principal
        self.exchange = exchange
        self.stream = stream
        self.reader = reader
        self.runtime = runtime
    }

    func start() {
        self.exchange.onGone = { self.close() }
        let timer = LoopTimer(self.runtime.loop) { [weak self] in
            guard let self else { return }
            if self.exchange.isGone { self.close() } else { _ = self.exchange.write(ServerSentEvent.keepAlive) }
        }
        let milliseconds = UInt64(Limits.ToolEndpoint.keepAliveMilliseconds)
        timer.start(milliseconds: milliseconds, repeating: milliseconds)
        self.timer = timer
        self.runtime.opened(self)
    }

    /// Its principal sees other lists from now on, or must not listen here any more.
    func rightsChanged() {
        guard self.isOpen, let principal = self.runtime.changed(self.exchange.admission as? Admission),
            principal != self.principal
        else { return }
        self.principal = principal
        let place = self.session.place
        guard principal.reaches(place.server) else { return self.end() }
        self.session.rightsChanged(ToolCaller(principal, in: place.namespace))
    }

    func end() {
        guard self.isOpen else { return }
        self.exchange.end()
        self.close()
    }

    private func close() {
        guard self.isOpen else { return }
        self.isOpen = false
        self.exchange.onGone = nil
        self.stream.detach(self.reader, now: self.runtime.now)
        self.timer?.close()
        self.timer = nil
        self.runtime.closed(self)
    }
}

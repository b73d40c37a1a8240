internal import ApusCore
internal import ApusHTTP
internal import ApusLoop

/// A stream of a session that its client reads by GET: kept alive, and ended with the server. Confined to the loop of its exchange.
final class SessionStream: EndableStream {
    private let exchange: HTTPExchange
    private let stream: KeptStream
    private let runtime: ShardRuntime
    private var timer: LoopTimer?
    private var isOpen = true

    init(_ exchange: HTTPExchange, _ stream: KeptStream, _ runtime: ShardRuntime) {
        self.exchange = exchange
        self.stream = stream
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

    func end() {
        guard self.isOpen else { return }
        self.exchange.end()
        self.close()
    }

    private func close() {
        guard self.isOpen else { return }
        self.isOpen = false
        self.exchange.onGone = nil
        self.stream.detach(now: self.runtime.now)
        self.timer?.close()
        self.timer = nil
        self.runtime.closed(self)
    }
}

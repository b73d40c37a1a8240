internal import ApusCore
internal import ApusHTTP
internal import ApusLoop

/// Sends a report a second to one client, as server-sent events. Confined to the loop of the exchange.
final class StatsStream: EndableStream, @unchecked Sendable {
    // SAFETY: confined to the runtime's loop; other threads only carry the reference back to it.

    private let exchange: HTTPExchange
    private let runtime: ShardRuntime
    private let server: Server
    private let report: StatsReport
    private var isGathering = false
    private var isFull = false
    private var isOpen = true
    private var timer: LoopTimer?

    init(_ exchange: HTTPExchange, _ runtime: ShardRuntime, _ server: Server, _ report: StatsReport) {
        self.exchange = exchange
        self.runtime = runtime
        self.server = server
        self.report = report
    }

    func start() {
        self.exchange.stream(status: 200, headers: ServerSentEvent.headers)
        _ = self.exchange.write(ServerSentEvent.keepAlive)
        // Holds the stream until the client leaves.
        self.exchange.onGone = { self.close() }
        self.exchange.onDrained = { [weak self] in self?.isFull = false }
        let timer = LoopTimer(self.runtime.loop) { [weak self] in self?.step() }
        timer.start(milliseconds: 0, repeating: Limits.Server.rateMilliseconds)
        self.timer = timer
        self.runtime.opened(self)
    }

    private func step() {
        // A client that is behind, or a server that is, misses a second; the next report has it.
        guard self.isOpen, !self.isGathering, !self.isFull else { return }
        self.isGathering = true
        let loop = self.runtime.loop
        self.report.gather(self.server) { json in loop.post { self.write(json) } }
    }

    private func write(_ json: [UInt8]?) {
        self.isGathering = false
        guard self.isOpen, let json else { return }
        self.isFull = !self.exchange.write(ServerSentEvent.encode(data: json))
    }

    func end() {
        self.exchange.end()
        self.close()
    }

    private func close() {
        guard self.isOpen else { return }
        self.isOpen = false
        self.exchange.onGone = nil
        self.exchange.onDrained = nil
        self.timer?.close()
        self.timer = nil
        self.runtime.closed(self)
    }
}

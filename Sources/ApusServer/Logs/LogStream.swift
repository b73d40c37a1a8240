internal import ApusCore
internal import ApusHTTP
internal import ApusJSON
internal import ApusLoop
internal import ApusStore

/// Follows what a function prints, for one client, as server-sent events. Confined to the loop of the exchange; rows are read on
/// the store thread.
final class LogStream: @unchecked Sendable {
    // SAFETY: confined to the runtime's loop; other threads only carry the reference back to it.

    private let exchange: HTTPExchange
    private let loop: EventLoop
    private let server: Server
    private let name: ResourceName
    private let limit: Int
    private var after: Int64?
    private var isReading = false
    private var isOpen = true
    private var timer: LoopTimer?

    init(_ exchange: HTTPExchange, _ runtime: ShardRuntime, _ server: Server, _ name: ResourceName, limit: Int) {
        self.exchange = exchange
        self.loop = runtime.loop
        self.server = server
        self.name = name
        self.limit = limit
    }

    func start() {
        self.exchange.stream(status: 200, headers: ServerSentEvent.headers)
        _ = self.exchange.write(ServerSentEvent.keepAlive)
        // Holds the stream until the client leaves.
        self.exchange.onGone = { self.stop() }
        // Lines reach the projection a commit later; looking a few times a second is as live as a person reads.
        let timer = LoopTimer(self.loop) { [weak self] in self?.step() }
        timer.start(milliseconds: Limits.Server.logPollMilliseconds, repeating: Limits.Server.logPollMilliseconds)
        self.timer = timer
        self.step()
    }

    private func step() {
        guard self.isOpen, !self.isReading else { return }
        self.isReading = true
        let (server, name, after, limit) = (self.server, self.name, self.after, self.limit)
        let isQueued = server.store.run {
            let rows = try? server.projection.query { (projection) throws(ApusError) in
                try projection.logs(of: name, after: after, limit: limit)
            }
            self.loop.post { self.write(rows ?? []) }
        }
        if !isQueued { self.isReading = false }
    }

    private func write(_ rows: [LogRow]) {
        self.isReading = false
        guard self.isOpen else { return }
        for row in rows {
            self.after = row.sequence
            _ = self.exchange.write(ServerSentEvent.encode(data: Routes.logJSON(row).encoded(), id: "\(row.sequence)"))
        }
        if self.after == nil { self.after = 0 }
    }

    private func stop() {
        self.isOpen = false
        self.timer?.close()
        self.timer = nil
    }
}

internal import ApusCore
internal import ApusHTTP
internal import ApusJSON
internal import ApusLoop
internal import ApusStore

/// Follows what a function prints, for one client, as server-sent events. Confined to the loop of the exchange; rows are read on
/// the store thread.
final class LogStream: EndableStream, @unchecked Sendable {
    // SAFETY: confined to the runtime's loop; other threads only carry the reference back to it.

    private let exchange: HTTPExchange
    private let runtime: ShardRuntime
    private let server: Server
    private let name: ResourceName
    private let filter: LogFilter
    private let limit: Int
    private var after: Int64?
    private var isReading = false
    private var isFull = false
    private var isOpen = true
    private var timer: LoopTimer?

    init(
        _ exchange: HTTPExchange, _ runtime: ShardRuntime, _ server: Server, _ name: ResourceName, after: Int64?,
        filter: LogFilter, limit: Int
    ) {
        self.exchange = exchange
        self.runtime = runtime
        self.server = server
        self.name = name
        self.after = after
        self.filter = filter
        self.limit = limit
    }

    func start() {
        self.exchange.stream(status: 200, headers: ServerSentEvent.headers)
        _ = self.exchange.write(ServerSentEvent.keepAlive)
        // Holds the stream until the client leaves.
        self.exchange.onGone = { self.close() }
        self.exchange.onDrained = { [weak self] in self?.isFull = false }
        // Lines reach the projection a commit later; looking a few times a second is as live as a person reads.
        let timer = LoopTimer(self.runtime.loop) { [weak self] in self?.step() }
        timer.start(milliseconds: Limits.Server.logPollMilliseconds, repeating: Limits.Server.logPollMilliseconds)
        self.timer = timer
        self.runtime.opened(self)
        self.step()
    }

    private func step() {
        guard self.isOpen, !self.isReading, !self.isFull else { return }
        self.isReading = true
        let (server, name, after, limit, loop) = (self.server, self.name, self.after, self.limit, self.runtime.loop)
        let filter = self.filter
        let isQueued = server.store.run {
            do throws(ApusError) {
                let page = try server.projection.query { (projection) throws(ApusError) in
                    try projection.logPage(of: name, after: after, filter: filter, limit: limit)
                }
                loop.post { self.write(page) }
            } catch {
                loop.post { self.fail(error) }
            }
        }
        // The next look comes soon.
        if !isQueued { self.isReading = false }
    }

    private func write(_ page: LogPage) {
        self.isReading = false
        guard self.isOpen else { return }
        // What the client has no room for is asked for again once it has.
        for row in page.rows where !self.isFull {
            self.after = row.sequence
            self.isFull = !self.exchange.write(
                ServerSentEvent.encode(data: Routes.logJSON(row).encoded(), id: "\(row.sequence)"))
        }
        // Lines that are not wanted are not looked at again.
        if !self.isFull { self.after = page.next }
    }

    private func fail(_ error: ApusError) {
        guard self.isOpen else { return }
        _ = self.exchange.write(ServerSentEvent.encode(data: Problem(error).json(), event: "error"))
        self.end()
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

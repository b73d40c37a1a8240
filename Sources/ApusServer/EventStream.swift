internal import ApusCore
internal import ApusHTTP
internal import ApusLoop

/// Follows a topic for one client, as server-sent events: what is there first, then what comes. It ends with the client.
///
/// Confined to the loop of the exchange; records are read and written as JSON on the reader thread. One step is under way at a
/// time, and none while the client has not taken what was written: at most one page waits here.
final class EventStream: EndableStream, @unchecked Sendable {
    // SAFETY: confined to the runtime's loop; other threads only carry the reference back to it.

    private enum State {
        /// The places to start at are being looked up; the head is not out. To `open`, `closed`.
        case starting
        case open
        case closed
    }

    private let exchange: HTTPExchange
    private let runtime: ShardRuntime
    private let log: any EventLog
    private let reader: WorkThread
    private var reading: TopicReading
    private var state = State.starting
    private var token: FollowToken?
    private var isReading = false
    private var isBehind = true
    private var isFull = false
    /// The page that is being written, and its first event that was not.
    private var page = TopicReading.Page()
    private var unwritten = 0
    private var keepAlive: LoopTimer?

    init(
        _ exchange: HTTPExchange, _ runtime: ShardRuntime, _ log: any EventLog, _ reader: WorkThread,
        _ reading: TopicReading
    ) {
        self.exchange = exchange
        self.runtime = runtime
        self.log = log
        self.reader = reader
        self.reading = reading
        self.reading.limit = min(reading.limit, Limits.Server.eventsPerStreamStep)
    }

    private var loop: EventLoop { self.runtime.loop }

    /// Looks up where to start before the head goes out: what is appended once the client has seen the head comes, for certain.
    func start() {
        // Holds the stream until the client leaves.
        self.exchange.onGone = { self.close() }
        self.runtime.opened(self)
        let (reading, log, loop) = (self.reading, self.log, self.loop)
        self.read {
            do throws(ApusError) {
                let starts = try reading.starts(log)
                loop.post { self.open(starts) }
            } catch {
                loop.post { self.fail(error) }
            }
        }
    }

    private func open(_ starts: [Int: Offset]) {
        guard self.state == .starting else { return }
        self.state = .open
        self.isReading = false
        self.reading.from = .offsets(starts)
        self.exchange.stream(status: 200, headers: ServerSentEvent.headers)
        _ = self.exchange.write(ServerSentEvent.keepAlive)
        self.token = self.log.follow(self.reading.topic) { _, _ in
            self.loop.post {
                self.isBehind = true
                self.step()
            }
        }
        self.exchange.onDrained = { [weak self] in
            self?.isFull = false
            self?.step()
        }
        let timer = LoopTimer(self.loop) { [weak self] in
            // A client that does not read is told nothing either.
            guard let self, !self.isFull else { return }
            if !self.exchange.write(ServerSentEvent.keepAlive) { self.isFull = true }
        }
        timer.start(milliseconds: Limits.Server.keepAliveMilliseconds, repeating: Limits.Server.keepAliveMilliseconds)
        self.keepAlive = timer
        self.step()
    }

    private func step() {
        self.writeOn()
        guard self.state == .open, !self.isReading, self.isBehind, !self.isFull else { return }
        self.isBehind = false
        let (reading, log, loop) = (self.reading, self.log, self.loop)
        self.read {
            do throws(ApusError) {
                let page = try reading.read(log)
                loop.post { self.take(page) }
            } catch {
                loop.post { self.fail(error) }
            }
        }
    }

    private func read(_ work: @escaping @Sendable () -> Void) {
        self.isReading = true
        if !self.reader.run(work) { self.fail(ApusError(.overloaded, "too many reads wait: try again in a moment")) }
    }

    private func take(_ page: TopicReading.Page) {
        self.isReading = false
        guard self.state == .open else { return }
        self.reading.from = .offsets(page.next)
        if !page.isAtEnd { self.isBehind = true }
        self.page = page
        self.unwritten = 0
        self.step()
    }

    /// Writes what the client takes of the page; the rest goes on when it has.
    private func writeOn() {
        guard self.state == .open else { return }
        while !self.isFull, self.unwritten < self.page.events.count {
            let event = self.page.events[self.unwritten]
            self.unwritten += 1
            // What does not fit is taken all the same, but nothing after it.
            self.isFull = !self.exchange.write(
                ServerSentEvent.encode(data: event.json, id: "\(event.partition):\(event.offset)"))
        }
        if self.unwritten == self.page.events.count, self.unwritten > 0 {
            self.page = TopicReading.Page()
            self.unwritten = 0
        }
    }

    private func fail(_ error: ApusError) {
        switch self.state {
        case .starting:
            self.exchange.respond(error)
            return self.close()
        case .open: _ = self.exchange.write(ServerSentEvent.encode(data: Problem(error).json(), event: "error"))
        case .closed: return
        }
        self.end()
    }

    func end() {
        if self.state == .starting {
            self.exchange.respond(ApusError(.shuttingDown, "the server is stopping: try again in a moment"))
        }
        self.exchange.end()
        self.close()
    }

    private func close() {
        guard self.state != .closed else { return }
        self.state = .closed
        self.exchange.onGone = nil
        self.exchange.onDrained = nil
        if let token = self.token { self.log.unfollow(token) }
        self.token = nil
        self.page = TopicReading.Page()
        self.unwritten = 0
        self.keepAlive?.close()
        self.keepAlive = nil
        self.runtime.closed(self)
    }
}

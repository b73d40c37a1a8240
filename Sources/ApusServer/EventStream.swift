internal import ApusCore
internal import ApusHTTP
internal import ApusLoop

/// Follows a topic for one client, as server-sent events: what is there first, then what comes. It ends with the client.
///
/// Confined to the loop of the exchange; records are read and written as JSON on the reader thread. One step is under way at a
/// time, and none while the client has not taken what was written.
final class EventStream: @unchecked Sendable {
    // SAFETY: confined to `loop`; other threads only carry the reference back to it.

    private let exchange: HTTPExchange
    private let loop: EventLoop
    private let log: any EventLog
    private let reader: WorkThread
    private var reading: TopicReading
    private var token: FollowToken?
    private var isReading = false
    private var isBehind = true
    private var isFull = false
    private var keepAlive: LoopTimer?

    init(_ exchange: HTTPExchange, _ loop: EventLoop, _ log: any EventLog, _ reader: WorkThread, _ reading: TopicReading) {
        self.exchange = exchange
        self.loop = loop
        self.log = log
        self.reader = reader
        self.reading = reading
        self.reading.limit = min(reading.limit, Limits.Server.eventsPerStreamStep)
    }

    func start() {
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
        // Holds the stream until the client leaves.
        self.exchange.onGone = { self.stop() }
        let timer = LoopTimer(self.loop) { [weak self] in _ = self?.exchange.write(ServerSentEvent.keepAlive) }
        timer.start(milliseconds: Limits.Server.keepAliveMilliseconds, repeating: Limits.Server.keepAliveMilliseconds)
        self.keepAlive = timer
        self.step()
    }

    private func step() {
        guard !self.isReading, self.isBehind, !self.isFull, self.token != nil else { return }
        self.isReading = true
        self.isBehind = false
        let (reading, log, loop) = (self.reading, self.log, self.loop)
        let isQueued = self.reader.run {
            do throws(ApusError) {
                let page = try reading.read(log)
                loop.post { self.write(page) }
            } catch {
                loop.post { self.fail(error) }
            }
        }
        if !isQueued { self.fail(ApusError(.overloaded, "too many reads wait: try again in a moment")) }
    }

    private func write(_ page: TopicReading.Page) {
        self.isReading = false
        guard self.token != nil else { return }
        self.reading.from = .offsets(page.next)
        if !page.isAtEnd { self.isBehind = true }
        for event in page.events {
            let isRoom = self.exchange.write(ServerSentEvent.encode(data: event.json, id: "\(event.partition):\(event.offset)"))
            if !isRoom { self.isFull = true }
        }
        self.step()
    }

    private func fail(_ error: ApusError) {
        _ = self.exchange.write(ServerSentEvent.encode(data: Problem(error).json(), event: "error"))
        self.exchange.end()
        self.stop()
    }

    private func stop() {
        if let token = self.token { self.log.unfollow(token) }
        self.token = nil
        self.keepAlive?.close()
        self.keepAlive = nil
    }
}

internal import ApusCore
internal import ApusHTTP
internal import ApusLoop
internal import ApusTools

/// A stream of a session that another server holds, read by a client of this one. It is asked for, opened when its holder says so, and
/// asked for again after a silence: what a client was given once it is not given twice.
final class RelayedStream: EndableStream, @unchecked Sendable {
    // SAFETY: touched on the loop of its exchange only; what others call posts there.

    private enum State {
        /// Its holder has not answered yet. To `open`, `over`.
        case asking(since: Timestamp)
        /// To `over`.
        case open(heardAt: Timestamp, unanswered: Int)
        case over
    }

    private let name: String
    private let session: String
    private let exchange: HTTPExchange
    private let runtime: ShardRuntime
    private let relay: SessionRelay
    /// The last event that the client has whole.
    private var place: StreamPlace
    private var state: State
    private var timer: LoopTimer?

    /// On the loop.
    init(
        _ name: String, _ place: StreamPlace, of session: String, _ exchange: HTTPExchange, _ runtime: ShardRuntime,
        _ relay: SessionRelay
    ) {
        self.name = name
        self.session = session
        self.exchange = exchange
        self.runtime = runtime
        self.relay = relay
        self.place = place
        self.state = .asking(since: runtime.now)
    }

    /// What is said of a stream that nobody holds.
    static func refuse(_ exchange: HTTPExchange) {
        exchange.respond(
            status: 404, json: MessageWriter.error(nil, RPCError(.invalidRequest, "that stream is not kept any more")))
    }

    func start() {
        self.exchange.onGone = { self.close(isOver: false) }
        let timer = LoopTimer(self.runtime.loop) { [weak self] in self?.tick() }
        timer.start(milliseconds: Limits.Nodes.stepMilliseconds, repeating: Limits.Nodes.stepMilliseconds)
        self.timer = timer
        self.runtime.opened(self)
        self.relay.ask(self.name, self.session, self.place)
    }

    private func tick() {
        let now = self.runtime.now
        switch self.state {
        case .asking(let since):
            guard now >= since + .seconds(Limits.Nodes.openSeconds) else { return }
            Self.refuse(self.exchange)
            self.close(isOver: true)
        case .open(let heardAt, let unanswered):
            guard now >= heardAt + .seconds(Limits.Nodes.renewSeconds) else { return }
            guard unanswered < Limits.Nodes.renewals else { return self.end() }
            self.state = .open(heardAt: now, unanswered: unanswered + 1)
            _ = self.exchange.write(ServerSentEvent.keepAlive)
            self.relay.ask(self.name, self.session, self.place)
        case .over: break
        }
    }

    // MARK: what the holder says, from any thread

    func opened() {
        self.runtime.loop.post {
            if case .asking = self.state { self.exchange.stream(status: 200, headers: ServerSentEvent.headers) }
            self.heard()
        }
    }

    func came(_ bytes: [UInt8], number: Int, isWhole: Bool) {
        self.runtime.loop.post {
            guard case .open = self.state else { return }
            self.heard()
            guard number > self.place.event else { return }
            _ = self.exchange.write(bytes)
            if isWhole { self.place.event = number }
        }
    }

    func closed() { self.runtime.loop.post { self.end() } }

    private func heard() {
        if case .over = self.state { return }
        self.state = .open(heardAt: self.runtime.now, unanswered: 0)
    }

    // MARK: the end

    func end() {
        switch self.state {
        case .over: return
        case .asking: Self.refuse(self.exchange)
        case .open: self.exchange.end()
        }
        self.close(isOver: true)
    }

    private func close(isOver: Bool) {
        if case .over = self.state { return }
        self.state = .over
        self.exchange.onGone = nil
        self.timer?.close()
        self.timer = nil
        self.runtime.closed(self)
        self.relay.forget(self.name, isOver: isOver)
    }
}

public import ApusCore
public import ApusLoop
internal import CHTTPD
internal import CHTTPShims
internal import CUV
internal import Glibc

/// HTTP/1.1 on one loop, by GNU libmicrohttpd in its external mode: no thread of its own, no hop per request.
///
/// Everything here runs on the loop's thread. One listener per loop; ``ListeningSocket`` lets several share a port. A listener
/// that listens lives until ``stop(withinMilliseconds:whenDone:)`` is done.
public final class HTTPListener {
    public struct Configuration {
        /// Connections at once; what comes above waits in the kernel's queue.
        public var connections = Limits.HTTP.connections
        /// Seconds without a byte after which a connection closes.
        public var idleSeconds = Limits.HTTP.idleSeconds
        /// How slowly a client may send.
        public var pace = HTTPPace()
        /// What a body may hold, by method and undecoded path.
        public var bodyLimit: (_ method: String, _ path: String) -> Int = { _, _ in Limits.HTTP.bodyBytes }
        /// How much of a body that turns out to be larger is read on, so that its sender sees the answer; what goes beyond is dropped.
        public var overflowLimit: (_ method: String, _ path: String) -> Int = { _, _ in 0 }
        /// What all bodies together may hold.
        public var bodiesBytes = Limits.HTTP.bodiesBytes
        /// Who may ask, by the headers Host and Origin.
        public var allowed = OriginPolicy()
        /// Looks at a request before its body is taken in; a problem is its answer. For authentication.
        public var admit: (HTTPExchange) -> Problem? = { _ in nil }
        /// Called with each request whose answer begins, refusals included. For metrics; it may add headers.
        public var onAnswer: ((HTTPExchange) -> Void)?
        /// Ends TLS; nil speaks plain HTTP.
        public var certificate: HTTPCertificate?
        public init() {}
    }

    /// What a listener did since it started.
    public struct Statistics: Sendable, Equatable {
        public var connections = 0
        public var requests = 0
        /// Heads that broke a rule or a limit.
        public var refused = 0
        /// Connections broken off: too slow, or a body that outgrew its limit.
        public var dropped = 0
        public init() {}
    }

    private enum State {
        case fresh
        case listening
        /// ``handOver()`` was called; the socket is let go at the end of this turn. To `handedOver`, `stopAsked`.
        case handOverAsked
        /// Another process takes the new connections; each answer closes its own. To `stopAsked`.
        case handedOver
        /// ``stop(withinMilliseconds:whenDone:)`` was called; the socket closes at the end of this turn.
        case stopAsked
        /// No new connection is taken; what runs may finish.
        case finishing
        case stopped
    }

    public private(set) var statistics = Statistics()
    let configuration: Configuration
    let loop: EventLoop
    private let onRequest: (HTTPExchange) -> Void
    private var state = State.fresh
    private var daemon: OpaquePointer?
    /// The library keeps pointers into them.
    private var credentials: TLSCredentials?
    private var readable: DescriptorWatch?
    private var beforeWait: TurnHook?
    private var ticker: LoopTimer?
    private var sweeper: LoopTimer?
    private var stopTimer: LoopTimer?
    private var idle: LoopIdle?
    private var whenStopped: (() -> Void)?
    private var mustStopNow = false
    private var closesIdle = true
    /// Still ours to close.
    private var hasSocket = true
    /// Exchanges with something new for the library.
    private var toSettle: [HTTPExchange] = []
    /// Suspended exchanges: their sockets are in nobody's epoll, so a client that leaves is noticed only by our watch.
    private var waiting: [HTTPExchange] = []
    private var connections: [ObjectIdentifier: HTTPConnection] = [:]
    /// Exchanges whose answer comes in parts and is not over.
    var streaming: Set<HTTPExchange> = []
    private var bodiesHeld = 0
    private var requestsInThisTurn = 0

    /// - Parameter onRequest: gets each request once its body is whole. It must not block: what touches a disk is answered later.
    public init(
        loop: EventLoop, configuration: Configuration = Configuration(), onRequest: @escaping (HTTPExchange) -> Void
    ) {
        self.loop = loop
        self.configuration = configuration
        self.onRequest = onRequest
    }

    /// Exchanges whose answer comes in parts and is not over: what must be looked at again when a right ends.
    public var streams: [HTTPExchange] { Array(self.streaming) }
    /// Connections that are open now.
    public var connectionCount: Int { self.connections.count }
    var isStopping: Bool {
        switch self.state {
        case .fresh, .listening: false
        case .handOverAsked, .handedOver, .stopAsked, .finishing, .stopped: true
        }
    }

    /// Serves a socket that is bound and listening, and owns it from now on.
    public func listen(socket: consuming OwnedDescriptor) throws(ApusError) {
        precondition(self.daemon == nil && self.loop.isCurrent)
        let context = Unmanaged.passUnretained(self).toOpaque()
        var flags = MHD_USE_EPOLL.rawValue | MHD_ALLOW_SUSPEND_RESUME.rawValue
        // With TLS the library sends what it holds back itself; its shortcut around epoll does not know of bytes that GnuTLS holds.
        flags |= self.configuration.certificate == nil ? MHD_USE_TURBO.rawValue : MHD_USE_TLS.rawValue
        self.credentials = self.configuration.certificate.map(TLSCredentials.init)
        var options = daemonOptions(
            self.configuration, self.credentials, socket: socket.rawValue, context: context)
        guard let daemon = apus_http_start(flags, onAnswer, context, &options) else {
            let hint =
                self.credentials == nil ? "" : "; is the certificate the key's, and was the library built with TLS?"
            throw ApusError(
                .internal, "the HTTP library would not start on its socket: \(String(cString: strerror(errno)))\(hint)")
        }
        // The library closes it, unless it is taken back first.
        _ = socket.release()
        self.daemon = daemon
        self.readable = DescriptorWatch(self.loop, descriptor: apus_http_epoll(daemon)) { _ in self.run() }
        self.readable?.watch(.readable)
        self.beforeWait = TurnHook(self.loop) { self.settle() }
        self.ticker = LoopTimer(self.loop) { self.tick() }
        self.sweeper = LoopTimer(self.loop) { self.sweep() }
        self.stopTimer = LoopTimer(self.loop) { self.mustStopNow = true }
        self.idle = LoopIdle(self.loop)
        self.state = .listening
    }

    /// Takes no new connection, lets what runs finish for so long, then breaks it off and closes.
    /// - Parameter whenDone: called on the loop once nothing of the listener is left.
    /// - Parameter closesIdle: connections that wait for their next request are closed at once; otherwise each gets an answer to
    ///   it, as long as there is time, so that none is closed under a request that is on its way.
    public func stop(
        withinMilliseconds milliseconds: UInt64, closesIdle: Bool = true, whenDone: @escaping () -> Void
    ) {
        switch self.state {
        case .fresh: return whenDone()
        case .stopAsked, .finishing, .stopped: return
        case .listening, .handOverAsked, .handedOver: break
        }
        self.state = .stopAsked
        self.closesIdle = closesIdle
        self.whenStopped = whenDone
        self.stopTimer?.start(milliseconds: milliseconds)
        // Not here: this may be a callback of the library, which must not be entered again.
        self.idle?.start()
    }

    /// Lets go of the socket for another process that holds it too: who connects from now on waits for that one. What is connected
    /// is served on, and each answer closes its connection. Then comes ``stop(withinMilliseconds:closesIdle:whenDone:)``.
    public func handOver() {
        guard self.state == .listening else { return }
        self.state = .handOverAsked
        self.idle?.start()
    }

    // MARK: turns of the loop

    private func run() { MHD_run(self.daemon) }

    func settleSoon(_ exchange: HTTPExchange) {
        guard !exchange.isQueuedToSettle else { return }
        exchange.isQueuedToSettle = true
        self.toSettle.append(exchange)
        // The loop may be about to wait already.
        self.idle?.start()
    }

    /// Runs before each wait of the loop. The library must have nothing left to do at once when the loop sleeps. A resumed
    /// connection does nothing until the next `MHD_run`, and `MHD_get_timeout` does not count it.
    private func settle() {
        self.idle?.stop()
        self.requestsInThisTurn = 0
        var isQuiet = false
        for _ in 0..<Limits.HTTP.roundsPerTurn where !isQuiet {
            if !self.toSettle.isEmpty {
                self.resumeAll()
                self.run()
                continue
            }
            // Its longer time-outs are kept by the sweep.
            var wait: UInt64 = 0
            if MHD_get_timeout(self.daemon, &wait) == .YES, wait == 0 { self.run() } else { isQuiet = true }
        }
        // A handler that ran just now may have left work for others who had their turn already.
        if !isQuiet || self.requestsInThisTurn > 0 { self.idle?.start() }
        self.goOnStopping()
    }

    private func resumeAll() {
        let batch = self.toSettle
        self.toSettle.removeAll(keepingCapacity: true)
        for exchange in batch {
            exchange.isQueuedToSettle = false
            self.resume(exchange)
        }
    }

    private func goOnStopping() {
        if self.state == .handOverAsked {
            self.state = .handedOver
            self.letGoOfSocket()
        }
        if self.state == .stopAsked { self.closeSocket() }
        if self.state == .finishing, self.connections.isEmpty || self.mustStopNow { self.finish() }
    }

    /// Closing would reset connections that queue on the socket: they are taken first.
    private func closeSocket() {
        self.state = .finishing
        for _ in 0..<Limits.HTTP.roundsBeforeClose { self.run() }
        self.letGoOfSocket()
        for connection in self.connections.values where self.closesIdle {
            // What was sent before can still be read, then comes the end.
            if case .awaitingHead = connection.phase { shutdown(connection.socket, CInt(SHUT_RD)) }
        }
        self.run()
    }

    private func letGoOfSocket() {
        guard self.hasSocket else { return }
        self.hasSocket = false
        // The library says the same number again when asked again, whosoever it is by then.
        let socket = MHD_quiesce_daemon(self.daemon)
        if socket >= 0 { close(socket) }
    }

    private func finish() {
        self.state = .stopped
        // The library aborts the process when it is stopped with connections suspended.
        for exchange in self.waiting {
            self.resume(exchange)
            exchange.leave(wasComplete: false)
        }
        self.run()
        // Before the library closes what it watches.
        self.readable?.close()
        MHD_stop_daemon(self.daemon)
        self.daemon = nil
        self.beforeWait?.close()
        self.ticker?.close()
        self.sweeper?.close()
        self.stopTimer?.close()
        self.idle?.close()
        (self.readable, self.beforeWait, self.ticker, self.sweeper, self.stopTimer, self.idle) = (
            nil, nil, nil, nil, nil, nil
        )
        self.toSettle = []
        let whenStopped = self.whenStopped
        self.whenStopped = nil
        whenStopped?()
    }

    private var now: UInt64 { uv_now(self.loop.handle) }

    // MARK: suspended exchanges

    func suspend(_ exchange: HTTPExchange) {
        exchange.isSuspended = true
        exchange.ticks = 0
        if self.waiting.isEmpty {
            self.ticker?.start(milliseconds: Limits.HTTP.tickMilliseconds, repeating: Limits.HTTP.tickMilliseconds)
        }
        exchange.placeInWaiting = self.waiting.count
        self.waiting.append(exchange)
        MHD_suspend_connection(exchange.connection)
    }

    private func resume(_ exchange: HTTPExchange) {
        guard exchange.isSuspended, exchange.phase != .gone else { return }
        self.forgetWaiting(exchange)
        MHD_resume_connection(exchange.connection)
    }

    private func forgetWaiting(_ exchange: HTTPExchange) {
        exchange.isSuspended = false
        exchange.watch?.close()
        exchange.watch = nil
        guard let place = exchange.placeInWaiting else { return }
        exchange.placeInWaiting = nil
        // The last one takes the place.
        let last = self.waiting.removeLast()
        if last !== exchange {
            self.waiting[place] = last
            last.placeInWaiting = place
        }
        if self.waiting.isEmpty { self.ticker?.stop() }
    }

    private func tick() {
        for exchange in self.waiting {
            exchange.ticks += 1
            if exchange.ticks == 2 { self.watchDeparture(of: exchange) }
        }
    }

    private func watchDeparture(of exchange: HTTPExchange) {
        exchange.watch = DescriptorWatch(self.loop, descriptor: apus_http_socket(exchange.connection)) {
            [unowned exchange] _ in
            self.departed(exchange)
        }
        exchange.watch?.watch(.disconnect)
    }

    /// A client that left gets no answer, but the library must run the connection once more to let it go.
    private func departed(_ exchange: HTTPExchange) {
        self.resume(exchange)
        exchange.leave(wasComplete: false)
        self.run()
    }

    /// Breaks off who is too slow, and lets the library keep its time-outs.
    private func sweep() {
        let now = self.now
        for connection in self.connections.values where connection.isTooSlow(now: now, pace: self.configuration.pace) {
            self.statistics.dropped += 1
            shutdown(connection.socket, CInt(SHUT_RDWR))
        }
        self.run()
    }

    // MARK: called by the library

    fileprivate func connected(_ connection: OpaquePointer) -> HTTPConnection {
        let state = HTTPConnection(socket: apus_http_socket(connection), now: self.now)
        if self.connections.isEmpty {
            self.sweeper?.start(milliseconds: Limits.HTTP.sweepMilliseconds, repeating: Limits.HTTP.sweepMilliseconds)
        }
        self.connections[ObjectIdentifier(state)] = state
        self.statistics.connections += 1
        return state
    }

    fileprivate func disconnected(_ connection: HTTPConnection) {
        self.connections[ObjectIdentifier(connection)] = nil
        if self.connections.isEmpty { self.sweeper?.stop() }
        // The last one may be what a stop waits for.
        if self.isStopping { self.idle?.start() }
    }

    /// The head is whole. A response may be queued now, before the body, or after all of it.
    fileprivate func begin(_ exchange: HTTPExchange, _ method: UnsafePointer<CChar>, _ version: UnsafePointer<CChar>)
        -> Bool
    {
        exchange.method = String(cString: method)
        exchange.begunAt = HTTPExchange.monotonic
        connectionState(exchange.connection)?.phase = .receiving(since: self.now)
        connectionState(exchange.connection)?.received = 0
        self.statistics.requests += 1
        let layout = HeadLayout(
            method: method, target: exchange.targetAddress, targetCount: exchange.target.utf8.count, version: version,
            versionCount: strlen(version))
        var lines = HeadLines(layout: layout)
        withUnsafeMutablePointer(to: &lines) {
            _ = MHD_get_connection_values_n(exchange.connection, .HEADER_KIND, onHeader, $0)
        }
        if !lines.layout.isWhole(count: apus_http_head_bytes(exchange.connection)) {
            lines.check.refuse("each line of the head ends in CR LF, is not folded and holds no NUL")
        }
        let head = lines.check
        if let refusal = head.refusal(version: String(cString: version), target: exchange.target) {
            self.refuse(exchange, with: refusal.answer)
            return exchange.queue()
        }
        guard let problem = self.problem(with: exchange, head) else { return true }
        self.refuse(exchange, with: (problem.status, problem))
        let mayDiscard =
            head.hasBody && (head.contentLength ?? 0) <= Limits.HTTP.discardedBytes && exchange.header("Expect") == nil
        return mayDiscard ? true : exchange.queue()
    }

    private func refuse(_ exchange: HTTPExchange, with answer: (status: UInt32, problem: Problem)) {
        self.statistics.refused += 1
        exchange.phase = .refused
        exchange.respond(answer.problem, status: answer.status, headers: [("Connection", "close")])
    }

    /// What speaks against taking this request's body in.
    private func problem(with exchange: HTTPExchange, _ head: HeadCheck) -> Problem? {
        let allowed = self.configuration.allowed
        if let problem = allowed.problem(host: exchange.header("Host"), origin: exchange.header("Origin")) {
            return problem
        }
        if let problem = self.configuration.admit(exchange) { return problem }
        exchange.bodyLimit = self.configuration.bodyLimit(exchange.method, exchange.rawPath)
        exchange.overflowLimit = self.configuration.overflowLimit(exchange.method, exchange.rawPath)
        let length = head.contentLength ?? 0
        if length > exchange.bodyLimit {
            return Problem(
                .bodyTooLarge, "the body has \(length) bytes; at most \(exchange.bodyLimit) are allowed here")
        }
        guard self.bodiesHeld + length <= self.configuration.bodiesBytes else {
            return Problem(.overloaded, "the server holds as many request bodies as it may; try again later")
        }
        self.bodiesHeld += length
        exchange.reserved = length
        exchange.body.reserveCapacity(min(length, Limits.HTTP.bodyBytes))
        return nil
    }

    fileprivate func receive(_ bytes: UnsafeRawBufferPointer, for exchange: HTTPExchange) -> Bool {
        connectionState(exchange.connection)?.received += bytes.count
        if exchange.phase == .refused {
            exchange.discarded += bytes.count
            return exchange.discarded <= max(Limits.HTTP.discardedBytes, exchange.overflowLimit) || self.drop()
        }
        let total = exchange.body.count + bytes.count
        guard total <= exchange.bodyLimit else {
            guard total <= exchange.overflowLimit else { return self.drop() }
            // Its length was not announced: the rest is read and thrown away, then comes the answer.
            exchange.body = []
            exchange.discarded = total
            let problem = Problem(.bodyTooLarge, "the body has more than the \(exchange.bodyLimit) bytes that are allowed here")
            self.refuse(exchange, with: (problem.status, problem))
            return true
        }
        if total > exchange.reserved {
            let more = total - exchange.reserved
            guard self.bodiesHeld + more <= self.configuration.bodiesBytes else { return self.drop() }
            self.bodiesHeld += more
            exchange.reserved = total
        }
        exchange.body.append(contentsOf: bytes)
        return true
    }

    private func drop() -> Bool {
        self.statistics.dropped += 1
        return false
    }

    /// The body is whole, or a suspended connection was resumed.
    fileprivate func proceed(_ exchange: HTTPExchange) -> Bool {
        connectionState(exchange.connection)?.phase = .busy
        if exchange.phase == .receiving {
            exchange.phase = .handled
            self.requestsInThisTurn += 1
            self.onRequest(exchange)
        }
        if exchange.phase == .gone { return false }
        if exchange.hasResponse { return exchange.queue() }
        self.suspend(exchange)
        return true
    }

    fileprivate func completed(_ exchange: HTTPExchange, _ code: MHD_RequestTerminationCode) {
        self.forgetWaiting(exchange)
        self.bodiesHeld -= exchange.reserved
        exchange.reserved = 0
        if let connection = connectionState(exchange.connection) {
            connection.phase = .awaitingHead(since: self.now)
            if self.state == .finishing, self.closesIdle { shutdown(connection.socket, CInt(SHUT_RD)) }
        }
        exchange.leave(wasComplete: code == .REQUEST_TERMINATED_COMPLETED_OK)
    }
}

/// What is gathered while the library walks the header lines.
private struct HeadLines {
    var check = HeadCheck()
    var layout: HeadLayout
}

// MARK: C callbacks are file-scope functions.

private typealias LogCallback =
    @convention(c) (UnsafeMutableRawPointer?, UnsafePointer<CChar>?, OpaquePointer?) -> UnsafeMutableRawPointer?
private typealias UnescapeCallback =
    @convention(c) (UnsafeMutableRawPointer?, OpaquePointer?, UnsafeMutablePointer<CChar>?) -> Int

private func daemonOptions(
    _ configuration: HTTPListener.Configuration, _ credentials: TLSCredentials?, socket: CInt,
    context: UnsafeMutableRawPointer
) -> [MHD_OptionItem] {
    func number(_ option: MHD_OPTION, _ value: Int) -> MHD_OptionItem {
        MHD_OptionItem(option: option, value: value, ptr_value: nil)
    }
    func callback(_ option: MHD_OPTION, _ function: UnsafeRawPointer) -> MHD_OptionItem {
        MHD_OptionItem(option: option, value: Int(bitPattern: function), ptr_value: context)
    }
    func text(_ option: MHD_OPTION, _ text: UnsafeMutablePointer<CChar>) -> MHD_OptionItem {
        MHD_OptionItem(option: option, value: 0, ptr_value: text)
    }
    let tls = credentials.map {
        [
            text(.HTTPS_MEM_CERT, $0.chain), text(.HTTPS_MEM_KEY, $0.key),
            text(.HTTPS_PRIORITIES, $0.priorities),
        ]
    }
    return (tls ?? []) + [
        number(.LISTEN_SOCKET, Int(socket)),
        number(.CONNECTION_LIMIT, configuration.connections),
        number(.CONNECTION_MEMORY_LIMIT, Limits.HTTP.headBytes),
        number(.CONNECTION_TIMEOUT, configuration.idleSeconds),
        number(.STRICT_FOR_CLIENT, 1),
        callback(.UNESCAPE_CALLBACK, unsafeBitCast(leaveEscaped as UnescapeCallback, to: UnsafeRawPointer.self)),
        callback(.URI_LOG_CALLBACK, unsafeBitCast(onTarget as LogCallback, to: UnsafeRawPointer.self)),
        callback(
            .NOTIFY_COMPLETED, unsafeBitCast(onCompleted as MHD_RequestCompletedCallback, to: UnsafeRawPointer.self)),
        callback(
            .NOTIFY_CONNECTION, unsafeBitCast(onConnection as MHD_NotifyConnectionCallback, to: UnsafeRawPointer.self)),
        number(.END, 0),
    ]
}

private func listener(_ context: UnsafeMutableRawPointer?) -> HTTPListener {
    guard let context else { preconditionFailure("the library hands back the listener it was given") }
    return Unmanaged<HTTPListener>.fromOpaque(context).takeUnretainedValue()
}

private func connectionState(_ connection: OpaquePointer) -> HTTPConnection? { HTTPConnection.of(connection) }

private func onConnection(
    _ context: UnsafeMutableRawPointer?, _ connection: OpaquePointer?,
    _ slot: UnsafeMutablePointer<UnsafeMutableRawPointer?>?,
    _ code: MHD_ConnectionNotificationCode
) {
    guard let connection, let slot else { return }
    if code == .CONNECTION_NOTIFY_STARTED {
        // Released when the library says that it closed, exactly once.
        slot.pointee = Unmanaged.passRetained(listener(context).connected(connection)).toOpaque()
    } else if let held = slot.pointee {
        slot.pointee = nil
        listener(context).disconnected(Unmanaged<HTTPConnection>.fromOpaque(held).takeRetainedValue())
    }
}

/// The request line was read: the only moment at which the library shows the target as it was sent, query included.
private func onTarget(
    _ context: UnsafeMutableRawPointer?, _ target: UnsafePointer<CChar>?, _ connection: OpaquePointer?
) -> UnsafeMutableRawPointer? {
    guard let target, let connection else { return nil }
    let exchange = HTTPExchange(connection: connection, target: target, listener: listener(context))
    // Released in `onCompleted`, which the library calls exactly once for each request line that it read.
    return Unmanaged.passRetained(exchange).toOpaque()
}

private func onAnswer(
    _ context: UnsafeMutableRawPointer?, _ connection: OpaquePointer?, _ path: UnsafePointer<CChar>?,
    _ method: UnsafePointer<CChar>?,
    _ version: UnsafePointer<CChar>?, _ upload: UnsafePointer<CChar>?, _ size: UnsafeMutablePointer<Int>?,
    _ slot: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
) -> MHD_Result {
    guard let held = slot?.pointee, let method, let version, let size else { return .NO }
    let exchange = Unmanaged<HTTPExchange>.fromOpaque(held).takeUnretainedValue()
    if exchange.method.isEmpty {
        return listener(context).begin(exchange, method, version) ? .YES : .NO
    }
    let count = size.pointee
    if count > 0 {
        size.pointee = 0
        return listener(context).receive(UnsafeRawBufferPointer(start: upload, count: count), for: exchange)
            ? .YES : .NO
    }
    return listener(context).proceed(exchange) ? .YES : .NO
}

/// Paths stay as they were sent: the router splits first and decodes each segment once, so that rights are checked on what is
/// served (the library would turn `admin%00.json` into `admin` and `a%2Fb` into `a/b`).
private func leaveEscaped(
    _ context: UnsafeMutableRawPointer?, _ connection: OpaquePointer?, _ text: UnsafeMutablePointer<CChar>?
) -> Int {
    text.map { strlen($0) } ?? 0
}

private func onCompleted(
    _ context: UnsafeMutableRawPointer?, _ connection: OpaquePointer?,
    _ slot: UnsafeMutablePointer<UnsafeMutableRawPointer?>?,
    _ code: MHD_RequestTerminationCode
) {
    guard let slot, let held = slot.pointee else { return }
    slot.pointee = nil
    listener(context).completed(Unmanaged<HTTPExchange>.fromOpaque(held).takeRetainedValue(), code)
}

private func onHeader(
    _ context: UnsafeMutableRawPointer?, _ kind: MHD_ValueKind, _ name: UnsafePointer<CChar>?, _ nameSize: Int,
    _ value: UnsafePointer<CChar>?, _ valueSize: Int
) -> MHD_Result {
    guard let context else { return .NO }
    let name = UnsafeRawBufferPointer(start: name, count: nameSize)
    let value = UnsafeRawBufferPointer(start: value, count: valueSize)
    let lines = context.assumingMemoryBound(to: HeadLines.self)
    lines.pointee.check.add(name: name, value: value)
    lines.pointee.layout.add(name: name, value: value)
    return .YES
}

public import ApusCore
internal import CHTTPD
internal import CShims
internal import ApusLoop
internal import Glibc

/// One request and its answer, confined to the loop of its listener.
///
/// The handler may answer before it returns or at any later moment, whole (``respond(status:headers:body:)``) or in parts
/// (``stream(status:headers:)``, ``write(_:)``, ``end()``). Answers that come after the client left are dropped. Headers and body
/// can be read until the exchange is over; a handler that needs them afterwards copies them.
public final class HTTPExchange {
    enum Phase {
        /// The request line was read; the head or the body is arriving. To `handled`, `refused`, `gone`.
        case receiving
        /// The handler has the request; the library's connection is suspended unless the answer came at once. To `answering`, `gone`.
        case handled
        /// A response was given to the library. To `gone`.
        case answering
        /// The head broke a rule; what still arrives is discarded, then the answer goes out. To `answering`, `gone`.
        case refused
        /// The connection ended or the client left; the library no longer knows this exchange.
        case gone
    }

    /// As sent: methods are case-sensitive.
    public internal(set) var method = ""
    /// The path and the query as they were sent, undecoded.
    public let target: String
    /// The path as it was sent, without the query.
    public let rawPath: String
    /// What follows the first question mark, as it was sent.
    public let rawQuery: String?
    public internal(set) var body: [UInt8] = []
    /// Overwrites the body, which nobody reads any more: it held something that should not stay in memory.
    public func forgetBody() {
        self.body.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            explicit_bzero(base, bytes.count)
        }
    }

    /// It was admitted without a proof of who asks.
    public var isAnonymous = false
    /// Which operation it asks for; -1 until the server's table has found it.
    public var operation = -1
    /// Called once, when the head of the answer is given.
    public var onAnswered: ((HTTPExchange) -> Void)?
    /// When its head was whole, in microseconds of the monotonic clock.
    var begunAt: Int64 = 0
    /// Headers of the answer beside those it is given with.
    private var added: [(String, String)] = []
    /// What the one who admitted the request knows of it, for its handler.
    public var admission: AnyObject?
    /// Called once when the client leaves before the answer is complete.
    public var onGone: (() -> Void)?
    /// Called when ``write(_:)`` had said to wait and what was written has left.
    public var onDrained: (() -> Void)?

    var phase = Phase.receiving
    var isSuspended = false
    var isQueuedToSettle = false
    /// Where the listener keeps it while it is suspended.
    var placeInWaiting: Int?
    /// Ticks spent waiting; the client's departure is watched only from the second on, since most answers come sooner.
    var ticks = 0
    var watch: DescriptorWatch?
    /// What this body may grow to, and what of the listener's total is set aside for it.
    var bodyLimit = 0
    var reserved = 0
    /// What of a larger one is read on.
    var overflowLimit = 0
    /// Bytes of a refused body that were thrown away.
    var discarded = 0
    /// An answer that the library does not have yet.
    private var response: OpaquePointer?
    public private(set) var status: UInt32 = 0
    private var output: [UInt8] = []
    private var sent = 0
    private var mustDrain = false
    private var isEnded = false
    private var isAborted = false
    private var isStreaming = false
    private var isEventStream = false
    let connection: OpaquePointer
    /// Where the target lay in the library's buffer when its line was read; for comparison only.
    let targetAddress: UInt
    unowned let listener: HTTPListener
    private let loop: EventLoop

    init(connection: OpaquePointer, target: UnsafePointer<CChar>, listener: HTTPListener) {
        self.connection = connection
        let text = String(cString: target)
        self.target = text
        let mark = text.utf8.firstIndex(of: UInt8(ascii: "?"))
        self.rawPath = mark.map { String(text[..<$0]) } ?? text
        self.rawQuery = mark.map { String(text[text.utf8.index(after: $0)...]) }
        self.targetAddress = UInt(bitPattern: target)
        self.listener = listener
        self.loop = listener.loop
    }

    deinit {
        if let response = self.response { MHD_destroy_response(response) }
    }

    /// The client left or the answer is complete: nothing can be read or written any more.
    public var isGone: Bool { self.phase == .gone }
    /// A streamed answer was broken off, by ``abort()`` or because its writer did not wait.
    public var isBrokenOff: Bool { self.isAborted }
    /// An answer was given, at least its head.
    public var isAnswered: Bool { self.response != nil || self.phase == .answering || self.phase == .gone }

    /// The value of a request header, whatever its case; nil once the exchange is over.
    public func header(_ name: String) -> String? {
        guard self.phase != .gone, let value = MHD_lookup_connection_value(self.connection, .HEADER_KIND, name) else {
            return nil
        }
        return String(cString: value)
    }

    /// Whether a request header has exactly this value, without making text of it.
    public func hasHeader(_ name: StaticString, equalTo value: [UInt8]) -> Bool {
        guard self.phase != .gone else { return false }
        var text: UnsafePointer<CChar>?
        var count = 0
        let found = name.utf8Start.withMemoryRebound(to: CChar.self, capacity: name.utf8CodeUnitCount) {
            MHD_lookup_connection_value_n(
                self.connection, .HEADER_KIND, $0, name.utf8CodeUnitCount, &text, &count)
        }
        guard found == .YES, count == value.count, let text else { return false }
        return memcmp(text, value, count) == 0
    }

    /// Shows the request headers as they lie in the library's buffer, in the order they were sent; none once the exchange is over.
    public func forEachHeader(_ body: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void) {
        guard self.phase != .gone else { return }
        withoutActuallyEscaping(body) { body in
            var visitor = HeaderVisitor(visit: body)
            withUnsafeMutablePointer(to: &visitor) {
                _ = MHD_get_connection_values_n(self.connection, .HEADER_KIND, visitHeader, $0)
            }
        }
    }

    /// What was kept of an earlier request of the same connection, for whoever admits requests.
    public var remembered: AnyObject? {
        get { HTTPConnection.of(self.connection)?.remembered }
        set { HTTPConnection.of(self.connection)?.remembered = newValue }
    }

    /// How long ago the head of the request was whole.
    public var elapsed: TimeSpan { TimeSpan(microseconds: Self.monotonic - self.begunAt) }

    static var monotonic: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
    }

    /// Adds a header to the answer that follows.
    public func add(header name: String, _ value: String) { self.added.append((name, value)) }

    /// All request headers in the order they were sent; empty once the exchange is over.
    public var headers: [HTTPHeader] {
        var headers: [HTTPHeader] = []
        self.forEachHeader { name, value in
            headers.append(HTTPHeader(String(decoding: name, as: UTF8.self), String(decoding: value, as: UTF8.self)))
        }
        return headers
    }

    /// Answers whole. The first answer counts; later ones are dropped.
    public func respond(status: UInt32, headers: [(String, String)] = [], body: [UInt8] = []) {
        body.withUnsafeBytes { self.respond(status: status, headers: headers, copying: $0) }
    }

    /// The same with a body that lies elsewhere; it is copied before this returns.
    public func respond(status: UInt32, headers: [(String, String)], copying body: UnsafeRawBufferPointer) {
        guard !self.isAnswered else { return }
        let response = MHD_create_response_from_buffer(
            body.count, UnsafeMutableRawPointer(mutating: body.baseAddress), .RESPMEM_MUST_COPY)
        self.give(response, status, headers)
    }

    /// Starts an answer whose body comes in parts (chunked, or server-sent events).
    public func stream(status: UInt32, headers: [(String, String)]) {
        guard !self.isAnswered else { return }
        self.isStreaming = true
        self.isEventStream = headers.contains { $0.0 == "Content-Type" && $0.1.hasPrefix(ServerSentEvent.mediaType) }
        self.listener.streaming.insert(self)
        let context = Unmanaged.passUnretained(self).toOpaque()
        self.give(
            MHD_create_response_from_callback(.max, Limits.HTTP.streamBlockBytes, produce, context, nil), status,
            headers)
    }

    /// Queues bytes of a streamed answer.
    /// - Returns: false when more is queued than the client takes: wait for ``onDrained``. A writer that goes on regardless is
    ///   broken off at ``Limits/HTTP/outputBytes``.
    @discardableResult
    public func write(_ bytes: [UInt8]) -> Bool {
        guard self.phase != .gone, self.isStreaming, !self.isEnded else { return false }
        guard self.output.isEmpty || self.output.count - self.sent + bytes.count <= Limits.HTTP.outputBytes else {
            self.abort()
            return false
        }
        self.output.append(contentsOf: bytes)
        self.listener.settleSoon(self)
        self.mustDrain = self.mustDrain || self.output.count - self.sent >= Limits.HTTP.outputHighWater
        return !self.mustDrain
    }

    /// Completes a streamed answer.
    public func end() {
        guard self.phase != .gone, self.isStreaming else { return }
        self.isEnded = true
        self.listener.settleSoon(self)
    }

    /// Breaks a streamed answer off so that the client can tell: the connection closes without the last chunk.
    public func abort() {
        guard self.phase != .gone, self.isStreaming else { return }
        self.isAborted = true
        self.isEnded = true
        self.output = []
        self.sent = 0
        self.listener.settleSoon(self)
    }

    /// Ends a streamed answer although its writer would go on: the client may not read it any more. The writer hears of it as
    /// of a client that left.
    /// - Parameter last: an event to end a stream of events with. Other answers, and a client that has not taken what came before,
    ///   are broken off.
    public func cutShort(saying last: [UInt8]) {
        guard self.phase != .gone, self.isStreaming, !self.isEnded else { return }
        if self.isEventStream, self.sent == self.output.count {
            _ = self.write(last)
            self.end()
        } else {
            self.abort()
        }
        let onGone = self.onGone
        self.onGone = nil
        self.onDrained = nil
        onGone?()
    }

    /// A way to answer from another thread.
    public func reply() -> HTTPReply { HTTPReply(to: self, on: self.loop) }

    private func give(_ response: OpaquePointer?, _ status: UInt32, _ headers: [(String, String)]) {
        self.response = response
        self.status = status
        self.listener.configuration.onAnswer?(self)
        if let onAnswered = self.onAnswered {
            self.onAnswered = nil
            onAnswered(self)
        }
        var isSound = response != nil
        for (name, value) in headers where isSound { isSound = MHD_add_response_header(response, name, value) == .YES }
        for (name, value) in self.added where isSound {
            isSound = MHD_add_response_header(response, name, value) == .YES
        }
        if isSound, self.listener.isStopping { _ = MHD_add_response_header(response, "Connection", "close") }
        if !isSound { self.replaceByInternalError() }
        self.listener.settleSoon(self)
    }

    /// A header with a line break in it, or no memory: half an answer would be worse than none.
    private func replaceByInternalError() {
        if let response = self.response { MHD_destroy_response(response) }
        self.isStreaming = false
        self.status = 500
        self.response = MHD_create_response_from_buffer(0, nil, .RESPMEM_PERSISTENT)
    }

    /// Hands the answer to the library.
    /// - Returns: false when the library cannot send it and must drop the connection.
    func queue() -> Bool {
        guard let response = self.response else { return false }
        self.response = nil
        self.phase = .answering
        defer { MHD_destroy_response(response) }
        return MHD_queue_response(self.connection, self.status, response) == .YES
    }

    var hasResponse: Bool { self.response != nil }

    /// Fills the library's buffer. Zero would be asked for again at once, so an empty queue suspends the connection first.
    fileprivate func fill(_ buffer: UnsafeMutablePointer<CChar>, _ capacity: Int) -> Int {
        // Suspending a connection whose client left would keep it for ever.
        if self.phase == .gone || self.isAborted { return streamBreak }
        let count = min(capacity, self.output.count - self.sent)
        if count == 0 {
            if self.isEnded { return streamEnd }
            self.listener.suspend(self)
            return 0
        }
        self.output.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            memcpy(buffer, base + self.sent, count)
        }
        self.sent += count
        if self.sent == self.output.count {
            self.output.removeAll(keepingCapacity: self.output.count <= Limits.HTTP.outputHighWater)
            self.sent = 0
            if self.mustDrain {
                self.mustDrain = false
                self.onDrained?()
            }
        }
        return count
    }

    /// The client left or the connection ended.
    /// - Parameter wasComplete: the library sent all it was given. A stream that nobody ended (the answer to a HEAD) is cut all the same.
    func leave(wasComplete: Bool) {
        guard self.phase != .gone else { return }
        self.phase = .gone
        self.listener.streaming.remove(self)
        let onGone = self.onGone
        self.onGone = nil
        self.onDrained = nil
        self.output = []
        if !wasComplete || (self.isStreaming && !self.isEnded) { onGone?() }
    }
}

extension HTTPExchange: Hashable {
    public static func == (left: HTTPExchange, right: HTTPExchange) -> Bool { left === right }
    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

/// `MHD_CONTENT_READER_END_OF_STREAM` and `MHD_CONTENT_READER_END_WITH_ERROR`, cast macros that Swift does not import.
private let streamEnd = -1
private let streamBreak = -2

private func produce(
    _ context: UnsafeMutableRawPointer?, _ position: UInt64, _ buffer: UnsafeMutablePointer<CChar>?, _ capacity: Int
) -> Int {
    guard let context, let buffer else { return streamBreak }
    return Unmanaged<HTTPExchange>.fromOpaque(context).takeUnretainedValue().fill(buffer, capacity)
}

private struct HeaderVisitor {
    let visit: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void
}

private func visitHeader(
    _ context: UnsafeMutableRawPointer?, _ kind: MHD_ValueKind, _ name: UnsafePointer<CChar>?, _ nameSize: Int,
    _ value: UnsafePointer<CChar>?, _ valueSize: Int
) -> MHD_Result {
    guard let context else { return .NO }
    context.assumingMemoryBound(to: HeaderVisitor.self).pointee.visit(
        UnsafeRawBufferPointer(start: name, count: nameSize), UnsafeRawBufferPointer(start: value, count: valueSize))
    return .YES
}

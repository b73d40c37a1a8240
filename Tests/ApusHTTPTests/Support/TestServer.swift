import ApusCore
import ApusHTTP
import ApusLoop
import Glibc
import Synchronization
import Testing

/// A listener on a loop of its own, for one test.
final class TestServer: Sendable {
    let loop = EventLoop()
    let port: UInt16
    // SAFETY: touched on the loop only, through `onLoop`.
    nonisolated(unsafe) private var listener: HTTPListener?

    /// - Parameter shared: listening already, and served by somebody else too.
    init(
        shared: CInt? = nil,
        configure: @escaping @Sendable (inout HTTPListener.Configuration) -> Void = { _ in },
        handler: @escaping @Sendable (HTTPExchange) -> Void
    ) throws {
        let socket: OwnedDescriptor
        if let shared { socket = OwnedDescriptor(adopting: shared) } else { socket = try ListeningSocket.open(port: 0) }
        self.port = ListeningSocket.port(of: socket)
        let descriptor = socket.release()
        let failure = self.onLoop { () -> ApusError? in
            var configuration = HTTPListener.Configuration()
            configure(&configuration)
            let listener = HTTPListener(loop: self.loop, configuration: configuration) { handler($0) }
            self.listener = listener
            do throws(ApusError) { try listener.listen(socket: OwnedDescriptor(adopting: descriptor)) } catch {
                return error
            }
            return nil
        }
        if let failure { throw failure }
    }

    /// Runs `work` on the loop and waits for what it gives.
    func onLoop<Value: Sendable>(_ work: @escaping @Sendable () -> Value) -> Value {
        let signal = Signal<Value>()
        self.loop.post { signal.send(work()) }
        return signal.wait()
    }

    var statistics: HTTPListener.Statistics { self.onLoop { self.listener?.statistics ?? HTTPListener.Statistics() } }
    var connectionCount: Int { self.onLoop { self.listener?.connectionCount ?? 0 } }

    /// Begins a stop; the result is signalled when it is done.
    func beginStop(withinMilliseconds milliseconds: UInt64) -> Signal<Bool> {
        let signal = Signal<Bool>()
        self.loop.post {
            self.listener?.stop(withinMilliseconds: milliseconds) { signal.send(true) }
        }
        return signal
    }

    func handOver() {
        _ = self.onLoop {
            self.listener?.handOver()
            return true
        }
    }

    /// Begins a stop that keeps idle connections for their next request.
    func beginLinger(withinMilliseconds milliseconds: UInt64) -> Signal<Bool> {
        let signal = Signal<Bool>()
        self.loop.post {
            self.listener?.stop(withinMilliseconds: milliseconds, closesIdle: false) { signal.send(true) }
        }
        return signal
    }

    /// Stops at once and ends the loop.
    func shutDown() {
        _ = self.beginStop(withinMilliseconds: 0).wait()
        self.endLoop()
    }

    func endLoop() {
        _ = self.onLoop {
            self.listener = nil
            return true
        }
        self.loop.stop()
    }
}

/// Runs `body` against a server and takes it down afterwards.
func withServer(
    configure: @escaping @Sendable (inout HTTPListener.Configuration) -> Void = { _ in },
    handler: @escaping @Sendable (HTTPExchange) -> Void,
    _ body: (TestServer) throws -> Void
) throws {
    let server = try TestServer(configure: configure, handler: handler)
    defer { server.shutDown() }
    try body(server)
}

/// A value that one thread waits for and another one sends.
final class Signal<Value: Sendable>: Sendable {
    private let value = Mutex<Value?>(nil)
    private let ends: (CInt, CInt)

    init() {
        var ends: [CInt] = [0, 0]
        precondition(pipe(&ends) == 0)
        self.ends = (ends[0], ends[1])
    }

    deinit {
        close(self.ends.0)
        close(self.ends.1)
    }

    func send(_ value: Value) {
        self.value.withLock { $0 = value }
        var byte: UInt8 = 0
        _ = write(self.ends.1, &byte, 1)
    }

    var isSent: Bool { self.value.withLock { $0 != nil } }

    /// Waits up to 30 seconds, far more than anything here takes.
    func wait() -> Value {
        var interest = pollfd(fd: self.ends.0, events: Int16(POLLIN), revents: 0)
        precondition(poll(&interest, 1, 30_000) == 1, "nothing was sent in time")
        guard let value = self.value.withLock({ $0 }) else { preconditionFailure("a byte comes after its value") }
        return value
    }
}

/// Waits until a condition holds.
/// - Returns: false when it did not within 30 seconds.
func eventually(_ condition: () -> Bool) -> Bool {
    for _ in 0..<6_000 {
        if condition() { return true }
        poll(nil, 0, 5)
    }
    return condition()
}

/// Thread-safe notes of what happened.
final class Notes<Element: Sendable>: Sendable {
    private let elements = Mutex<[Element]>([])
    func add(_ element: Element) { self.elements.withLock { $0.append(element) } }
    var all: [Element] { self.elements.withLock { $0 } }
}

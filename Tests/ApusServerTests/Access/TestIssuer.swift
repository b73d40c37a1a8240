import ApusCore
import ApusHTTP
import ApusJSON
import ApusLoop
import Synchronization

/// Serves the public keys of an authorization server, on a loop of its own.
final class TestIssuer: Sendable {
    let port: UInt16
    private let loop = EventLoop()
    private let keys: Mutex<JSONValue>
    private let asked = Mutex(0)
    // SAFETY: used on the loop alone.
    nonisolated(unsafe) private var listener: HTTPListener?

    init(_ keys: [JSONValue]) throws {
        self.keys = Mutex(["keys": .array(keys)])
        let socket = try ListeningSocket.open(address: "127.0.0.1", port: 0, reusePort: false, joins: false)
        self.port = ListeningSocket.port(of: socket)
        let descriptor = socket.release()
        try self.loop.runAndWait { () -> Result<Void, ApusError> in
            do throws(ApusError) {
                let listener = HTTPListener(loop: self.loop) { exchange in
                    self.asked.withLock { $0 += 1 }
                    exchange.respond(json: self.keys.withLock { $0.encoded() })
                }
                self.listener = listener
                return .success(try listener.listen(socket: OwnedDescriptor(adopting: descriptor)))
            } catch { return .failure(error) }
        }.get()
    }

    var url: String { "http://127.0.0.1:\(self.port)/keys" }
    var requests: Int { self.asked.withLock { $0 } }

    func close() {
        let done = Mutex(false)
        self.loop.runAndWait { self.listener?.stop(withinMilliseconds: 100) { done.withLock { $0 = true } } }
        while !done.withLock({ $0 }) { self.loop.runAndWait {} }
        self.loop.stop()
    }
}

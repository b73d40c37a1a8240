import ApusCore
import ApusHTTP
import ApusLoop
import Testing

@Suite struct ListeningSocketTests {
    private static func code(_ work: () throws(ApusError) -> Void) -> ErrorCode? {
        do throws(ApusError) { try work() } catch { return error.code }
        return nil
    }

    @Test func `a busy port is noticed, also by a server that would share it`() throws {
        let socket = try ListeningSocket.open(port: 0, reusePort: true)
        let port = ListeningSocket.port(of: socket)
        #expect(port != 0)
        #expect(Self.code { () throws(ApusError) in _ = try ListeningSocket.open(port: port) } == .portInUse)
        #expect(
            Self.code { () throws(ApusError) in _ = try ListeningSocket.open(port: port, reusePort: true) }
                == .portInUse)
        let second = try ListeningSocket.open(port: port, reusePort: true, joins: true)
        #expect(ListeningSocket.port(of: second) == port)
        #expect(ListeningSocket.port(of: socket) == port)
    }

    @Test func `addresses are numbers or localhost`() throws {
        #expect(
            Self.code { () throws(ApusError) in _ = try ListeningSocket.open(address: "example.com", port: 0) }
                == .invalidArgument)
        #expect(
            Self.code { () throws(ApusError) in _ = try ListeningSocket.open(address: "", port: 0) } == .invalidArgument
        )
        // TEST-NET-1 belongs to nobody.
        #expect(
            Self.code { () throws(ApusError) in _ = try ListeningSocket.open(address: "192.0.2.1", port: 0) }
                == .addressNotAllowed)
        let socket = try ListeningSocket.open(address: "localhost", port: 0)
        #expect(ListeningSocket.port(of: socket) != 0)
    }

    @Test(arguments: [
        ("127.0.0.1", true), ("127.9.9.9", true), ("localhost", true), ("::1", true), ("0.0.0.0", false), ("::", false),
        ("192.168.1.1", false), ("::ffff:127.0.0.1", false), ("127.0.0.1.example.com", false), ("", false),
    ])
    func `loopback is told from the rest`(address: String, isLoopback: Bool) {
        #expect(ListeningSocket.isLoopback(address) == isLoopback)
    }
}

import ApusCore
import ApusLoop
import CShims
import Glibc
import Synchronization
import Testing

@testable import ApusSandbox

/// The client against a nursery that the test plays.
@Suite("The client of the nursery", .timeLimit(.minutes(1)))
struct ClientTests {
    private static let order = LaunchOrder(
        runtime: .native, bundle: String(repeating: "a", count: 64), arguments: ["probe"])

    /// Runs `body` on a loop with a client, whose peer's socket it gets.
    private func withClient<Value: Sendable>(
        _ body: @escaping @Sendable (NurseryClient, CInt, @escaping (Value) -> Void) -> Void
    ) async -> Value {
        var ends: (CInt, CInt) = (-1, -1)
        let result = withUnsafeMutablePointer(to: &ends) {
            $0.withMemoryRebound(to: CInt.self, capacity: 2) { apus_packet_pair($0) }
        }
        precondition(result == 0)
        let (ours, theirs) = ends
        let loop = EventLoop()
        defer {
            loop.stop()
            close(theirs)
        }
        return await withCheckedContinuation { continuation in
            loop.post {
                do throws(ApusError) {
                    var holder: NurseryClient?
                    let client = try NurseryClient(loop, channel: ours, shard: 3, report: HostReport(nursery_event())) {
                    }
                    holder = client
                    body(client, theirs) { value in
                        holder?.close()
                        holder = nil
                        continuation.resume(returning: value)
                    }
                } catch {
                    preconditionFailure("\(error)")
                }
            }
        }
    }

    @Test("Requests that the socket does not take wait up to a bound, and are refused beyond it")
    func waitingIsBounded() async {
        let refused: Int = await self.withClient { client, _, done in
            let refused = Mutex(0)
            // Nobody reads: after what the socket holds, the queue fills up to its bound.
            for _ in 0..<Limits.Sandbox.waitingRequests * 3 {
                client.launch(Self.order) { result in
                    if case .failure(let error) = result, error.code == .overloaded { refused.withLock { $0 += 1 } }
                }
            }
            done(refused.withLock { $0 })
        }
        #expect(refused > 0 && refused < Limits.Sandbox.waitingRequests * 2)
    }

    @Test("What is no event of the nursery ends the line")
    func garbageEndsTheLine() async {
        let error: ErrorCode? = await self.withClient { client, peer, done in
            client.launch(Self.order) { result in
                if case .failure(let error) = result { done(error.code) } else { done(nil) }
            }
            let garbage = [UInt8](repeating: 0xA5, count: 64)
            _ = send(peer, garbage, garbage.count, CInt(MSG_NOSIGNAL))
        }
        #expect(error == .sandboxUnavailable)
    }

    @Test("Closing the client fails what waits")
    func closingFailsWaiting() async {
        let error: ErrorCode? = await self.withClient { client, _, done in
            client.launch(Self.order) { result in
                if case .failure(let error) = result { done(error.code) } else { done(nil) }
            }
            client.close()
        }
        #expect(error == .shuttingDown)
    }

    @Test("A busy nursery is asked again about a layer until it is free")
    func layersAreAskedAgain() async {
        let isDone: Bool = await self.withClient { client, peer, done in
            client.prepareLayer(String(repeating: "c", count: 64)) { result in
                if case .success = result { done(true) } else { done(false) }
            }
            var event = nursery_event()
            event.magic = NURSERY_MAGIC
            event.ticket = 3 << 48 | 1
            for (kind, flags) in [(NURSERY_FAILED, NURSERY_NO_SLOT.rawValue), (NURSERY_DONE, 0)] {
                event.kind = kind.rawValue
                event.flags = flags
                withUnsafeBytes(of: event) { _ = send(peer, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
            }
        }
        #expect(isDone)
    }
}

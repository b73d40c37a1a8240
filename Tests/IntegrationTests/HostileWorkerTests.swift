import ApusTestSupport
import Glibc
import Testing

/// A real server with a native function, in its sandbox, that sends mutated frames.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct HostileWorkerTests {
    private static let isSoak = getenv("APUS_SOAK") != nil
    private static let calls: UInt64 = isSoak ? 600 : 20
    private static let burst = 2_000
    private static let seed: UInt64 = isSoak ? .random(in: 1...1 << 40) : 7

    private static func manifest(_ name: String, _ mode: String) -> String {
        """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: \(name)}
        spec:
          runtime: native
          handler: echo-native \(mode)
          source: .
          resources: {memory: 64Mi}
          scale: {max: 1, idle: 30s}
        """
    }

    @Test func aServerOutlivesAWorkerThatSendsAnything() throws {
        print("mutated frames for a server: seed \(Self.seed), \(Self.calls) calls of \(Self.burst) frames")
        let server = try TestServer()
        try server.start()
        for (name, mode) in [("hostile", "fuzz"), ("neighbour", "echo")] {
            let folder = try server.write(name, manifest: Self.manifest(name, mode))
            let copied = try ChildProcess("/bin/cp", ["\(server.tree)/libexec/apus/echo-native", folder], in: folder)
            #expect(copied.wait(seconds: 20) == 0)
            server.deploy(folder)
        }
        for call in 0..<Self.calls {
            // An odd number ends with hostile frames, and with the worker.
            let frames = Self.burst + Int(call % 2)
            let words = "\"bad \(Self.seed &+ call) \(frames)\""
            // Hostile frames may happen to be an answer; whoever comes next can then still meet the worker that has gone.
            let isAnswered = waitUntil(seconds: 10) {
                server.apus("invoke", "hostile", "--data", words).status == 0 || frames % 2 == 1
            }
            #expect(isAnswered, "seed \(Self.seed &+ call)")
            guard call % 5 == 0 else { continue }
            let neighbour = server.apus("invoke", "neighbour", "--data", "\(call)")
            #expect(neighbour.output == "\(call)", "after seed \(Self.seed &+ call): \(neighbour.errors)")
        }
        #expect(server.apus("invoke", "neighbour", "--data", "1").output == "1")
        #expect(server.terminate() == 0)
    }
}

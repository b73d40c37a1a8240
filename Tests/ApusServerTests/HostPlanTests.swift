import ApusCore
import ApusEngine
import ApusHost
import ApusManifest
import Testing

@testable import ApusServer
@testable import ApusStore

/// What a shard is told of a deployed function.
@Suite struct HostPlanTests {
    @Test(arguments: [
        (1, 1), (Limits.Host.zygoteCalls - 1, Limits.Host.zygoteCalls - 1),
        (Limits.Host.zygoteCalls, Limits.Host.zygoteCalls), (Limits.Host.zygoteCalls + 1, Limits.Host.zygoteCalls),
        (100, Limits.Host.zygoteCalls),
    ])
    func oneSandboxHoldsSoManyCallsAndNoMore(workers: Int, calls: Int) throws {
        let yaml = """
            apiVersion: apus.dev/v1
            kind: Function
            metadata: {name: f}
            spec:
              {runtime: python3, handler: "main:handle", source: ., reuse: never, scale: {max: \(workers)},
              sandbox: {calls: process}}
            """
        let document = try #require(try Manifest.parse(yaml, file: "f.yaml").first)
        guard case .function(let manifest) = document else {
            Issue.record("no function")
            return
        }
        let function = Catalogue.Function(
            id: FunctionID(rawValue: 1), generation: 1, revision: "r", bundle: "b", layer: nil, manifest: manifest,
            triggers: [], schedules: [], pauses: Pauses(), origin: 0, move: nil, updated: .zero)
        let fork = try #require(function.hostFunction.launch.fork)
        #expect(fork.children == calls)
        #expect(String(decoding: fork.initialization, as: UTF8.self).contains("\"children\":\(calls)"))
    }
}

import ApusCore
import ApusEngine
import ApusHost
import ApusManifest
import ApusTestSupport
import Synchronization
import Testing

@testable import ApusServer
@testable import ApusStore

/// Memory returns to the declared residue after a sleep, else the instance ends: others are placed by what it was to leave.
@Suite struct SleeperTests {
    private final class NoEgress: EgressDirecting {
        func open(_ worker: LaunchTicket, _ access: NetworkAccess, listener: CInt, values: CInt) {}
        func close(_ worker: LaunchTicket) {}
    }

    /// - Returns: the states that one instance went through.
    private static func states(isBack: Bool) throws -> [InstanceState] {
        let scratch = ScratchDirectory("sleeper")
        let weights = WeightStore(dataDirectory: scratch.path, egress: NoEgress(), quota: 1 << 30)
        defer { weights.stop() }
        let host = try PoolHost(hostMemory: 1 << 40, shards: PoolShards(), weights: weights)
        let seen = Mutex<[InstanceTransition]>([])
        let checks = Mutex<[Bool]>([])
        host.onChanges.withLock { hook in
            hook = { changes in seen.withLock { $0 += changes.map(\.transition) } }
        }
        host.memoryCheck.withLock { hook in
            hook = { _, hasEnded, completion in
                checks.withLock { $0.append(hasEnded) }
                // Its end brings the memory back.
                completion(hasEnded || isBack)
            }
        }
        host.add(DeviceDescription(id: "GPU-0", kind: "h100", memoryBytes: 80 << 30))
        let yaml = """
            apiVersion: apus.dev/v1
            kind: Function
            metadata: {name: model}
            spec:
              {runtime: python3, handler: "main:handle", source: ., resources: {gpu: {memory: 16Gi, residue: 1Gi}},
              scale: {gpuIdle: 0s, hostIdle: 1h}}
            """
        guard case .function(let manifest) = try #require(try Manifest.parse(yaml, file: "t.yaml").first) else { return [] }
        let function = Catalogue.Function(
            id: FunctionID(rawValue: 1), generation: 1, revision: "r", bundle: "b", layer: nil, manifest: manifest, triggers: [],
            schedules: [], pauses: Pauses(), origin: 0, move: nil, updated: .zero)
        host.deploy(try #require(PoolDeployment(function, shard: 0, links: DeviceLinks())))
        host.receive(.demand(FunctionID(rawValue: 1), running: 0, queued: 1))
        let instance = try #require(seen.withLock { $0.first?.instance })
        for report in [Pool.Report.forked, .loaded, .warmed] { host.receive(.report(instance, report)) }
        host.receive(.demand(FunctionID(rawValue: 1), running: 0, queued: 0))
        host.tick()
        #expect(seen.withLock { $0.last?.to } == .sleeping)
        host.receive(.report(instance, .slept))
        if !isBack { host.receive(.ended(instance)) }
        #expect(checks.withLock { $0 } == (isBack ? [false] : [false, true]))
        host.close()
        return seen.withLock { $0.map(\.to) }
    }

    @Test func oneThatKeepsItsMemoryEnds() throws {
        #expect(try Self.states(isBack: true).last == .sleeping)
        #expect(try Self.states(isBack: false).suffix(3) == [.sleeping, .stopped, .absent])
    }
}

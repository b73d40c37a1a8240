internal import ApusCore
internal import ApusEgress
internal import ApusHost
internal import ApusLoop
internal import ApusSandbox
internal import Synchronization

/// The shards, for whoever is made before they are.
final class ShardList: Sendable {
    private let shards = Mutex<[ShardRuntime]>([])

    func fill(_ shards: [ShardRuntime]) { self.shards.withLock { $0 = shards } }

    /// The shard that ordered a worker.
    func shard(of worker: LaunchTicket) -> ShardRuntime? {
        let index = Int(worker.rawValue >> 48)
        return self.shards.withLock { $0.indices.contains(index) ? $0[index] : nil }
    }
}

extension Server {
    static func makeEgress(
        _ configuration: ServerConfiguration, _ parts: Parts, _ shards: ShardList,
        _ onNurseryDeath: @escaping @Sendable () -> Void
    ) throws(ApusError) -> EgressHost {
        let loop = EventLoop()
        let (channel, index, report, journal) = (
            parts.channels[configuration.shards + 1], configuration.shards + 1, parts.report, parts.journal
        )
        let result = loop.runAndWait { () -> Result<EgressHost, ApusError> in
            do throws(ApusError) {
                let nursery = try NurseryClient(
                    loop, channel: channel, shard: index, report: report, onDeath: onNurseryDeath)
                return .success(
                    EgressHost(
                        loop, nursery, configuration.egress, authorities: configuration.egressAuthorities, journal
                    ) { worker, notes in
                        guard let runtime = shards.shard(of: worker) else { return }
                        runtime.loop.post { for note in notes { runtime.shard.noted(note, of: worker) } }
                    })
            } catch { return .failure(error) }
        }
        return try result.get()
    }
}

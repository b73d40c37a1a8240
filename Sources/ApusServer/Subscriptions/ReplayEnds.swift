internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusLoop
internal import ApusStore
internal import Synchronization

/// Writes that replays have ended, which their shards tell. The server is made before there is anybody to write it.
final class ReplayEnds: Sendable {
    private let place = Mutex<(control: Control, shards: [ShardRuntime])?>(nil)

    func bind(_ control: Control, _ shards: [ShardRuntime]) { self.place.withLock { $0 = (control, shards) } }

    /// On the shard's loop. What could not be written, the shard tells again.
    func ended(_ function: ResourceName, _ trigger: TriggerID, _ number: UInt64) {
        guard let (control, shards) = self.place.withLock({ $0 }) else { return }
        let runtime = shards[FunctionDirectory.shard(of: function, among: shards.count)]
        control.perform(.endReplay(function, ReplayID(number: number), .finished)) { answer in
            guard case .failure = answer else { return }
            runtime.loop.post { runtime.shard.replayStays(trigger) }
        }
    }
}

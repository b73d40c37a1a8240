internal import ApusCore
internal import ApusStore
internal import Synchronization

/// Writes that replays have ended, which their shards tell. The server is made before there is anybody to write it.
final class ReplayEnds: Sendable {
    private let control = Mutex<Control?>(nil)

    func bind(_ control: Control) { self.control.withLock { $0 = control } }

    /// On the shard's loop. Whoever decides looks whether all of it is behind, wherever it is run; a replay that goes on or whose end
    /// could not be written is told of again by its shards.
    func ended(_ function: ResourceName, _ number: UInt64) {
        guard let control = self.control.withLock({ $0 }) else { return }
        control.perform(.endReplay(function, ReplayID(number: number), .finished)) { _ in }
    }
}

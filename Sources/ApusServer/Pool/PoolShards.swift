internal import ApusCore
internal import ApusHost
internal import ApusLoop
internal import Synchronization

/// The loops that the pool speaks to, once they are there. What is said before is nothing: no function is deployed then.
final class PoolShards: Sendable {
    private struct State: Sendable {
        var shards: [ShardRuntime] = []
        var timer: TimerBox?
    }

    /// A timer that its own loop touches alone.
    private final class TimerBox: @unchecked Sendable {
        // SAFETY: made, set and closed on the loop of the first shard only; the reference crosses threads to come back by `loop.post`.
        var timer: LoopTimer?
        var onFire: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())

    func fill(_ shards: [ShardRuntime]) {
        let box = TimerBox()
        shards.first?.loop.runAndWait {
            box.timer = LoopTimer(shards[0].loop) { box.onFire?() }
        }
        self.state.withLock { $0 = State(shards: shards, timer: box) }
    }

    func post(to shard: Int, _ body: @escaping @Sendable (Shard) -> Void) {
        self.state.withLock { state in
            guard state.shards.indices.contains(shard) else { return }
            let runtime = state.shards[shard]
            runtime.loop.post { body(runtime.shard) }
        }
    }

    /// Calls `body` once, after a while; what was set before is forgotten.
    func arm(after span: TimeSpan, _ body: @escaping @Sendable () -> Void) {
        self.state.withLock { state in
            guard let box = state.timer, let loop = state.shards.first?.loop else { return }
            loop.post {
                box.onFire = body
                box.timer?.start(milliseconds: UInt64(max(0, (span.microseconds + 999) / 1_000)))
            }
        }
    }

    func close() {
        let (box, loop) = self.state.withLock { state in
            defer { state.timer = nil }
            return (state.timer, state.shards.first?.loop)
        }
        loop?.post {
            box?.timer?.close()
            box?.timer = nil
            box?.onFire = nil
        }
    }
}

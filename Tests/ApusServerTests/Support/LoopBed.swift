import ApusCore
import ApusLoop
import Synchronization
import Testing

/// A loop for one test, with waiting that ends.
final class LoopBed: Sendable {
    let loop = EventLoop()
    let clock = SystemClock()

    /// What only one thread touches, carried to it.
    private struct Carried<Value>: @unchecked Sendable {
        // SAFETY: the value is handed over, not shared: the test does not touch what it captured while it waits.
        let value: Value
        init(_ value: Value) { self.value = value }
    }

    private final class Holder { var timer: LoopTimer? }

    @discardableResult
    func run<Value: Sendable>(_ body: @escaping () -> Value) async -> Value {
        let body = Carried(body)
        return await withCheckedContinuation { continuation in
            self.loop.post { continuation.resume(returning: body.value()) }
        }
    }

    /// Waits until a condition holds, asked on the loop; fails the test when it does not within the bound.
    func until(
        _ what: String, seconds: Int64 = 30, location: SourceLocation = #_sourceLocation,
        _ condition: @escaping () -> Bool
    ) async throws {
        let condition = Carried(condition)
        let isMet = await withCheckedContinuation { continuation in
            self.loop.post {
                let deadline = self.clock.now + .seconds(seconds)
                let holder = Carried(Holder())
                holder.value.timer = LoopTimer(self.loop) {
                    let isMet = condition.value()
                    guard isMet || self.clock.now > deadline else { return }
                    holder.value.timer?.close()
                    holder.value.timer = nil
                    continuation.resume(returning: isMet)
                }
                holder.value.timer?.start(milliseconds: 0, repeating: 1)
            }
        }
        try #require(isMet, "not within \(seconds) s: \(what)", sourceLocation: location)
    }
}

import ApusLoop
import Testing

@Suite struct LoopNudgeTests {
    @Test func aRequestMakesTheHooksRunAgain() async {
        let loop = EventLoop()
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            loop.post {
                let turns = Turns()
                turns.nudge = LoopNudge(loop)
                turns.hook = TurnHook(loop) {
                    turns.count += 1
                    // Without the nudge the loop would now wait for ever.
                    guard turns.count == 10 else { return turns.nudge?.request() ?? () }
                    turns.hook?.close()
                    turns.nudge?.close()
                    turns.hook = nil
                    continuation.resume()
                }
            }
        }
        loop.stop()
    }
}

private final class Turns {
    var count = 0
    var nudge: LoopNudge?
    var hook: TurnHook?
}

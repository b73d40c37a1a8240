import ApusLoop
import Glibc
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(2))) struct StoppingTests {
    /// A wake-up of a loop that has closed its descriptor ends the process, or goes to whoever has the number by then.
    @Test func aLoopMayBeStoppedWhileOthersStillPost() {
        for _ in 0..<40 {
            let loop = EventLoop()
            let isOver = Atomic(false)
            let others = (0..<2).map { _ in WorkThread() }
            let started = Atomic(0)
            for other in others {
                _ = other.run {
                    started.add(1, ordering: .relaxed)
                    while !isOver.load(ordering: .relaxed) { loop.post {} }
                }
            }
            while started.load(ordering: .relaxed) < others.count { sched_yield() }
            loop.stop()
            isOver.store(true, ordering: .relaxed)
            for other in others { other.stop() }
        }
    }
}

import ApusLoop
import Synchronization
import Testing

@Suite struct WorkThreadTests {
    @Test func runsWhatItIsGivenInOrder() {
        let thread = WorkThread()
        let seen = Mutex<[Int]>([])
        for index in 0..<100 { #expect(thread.run { seen.withLock { $0.append(index) } }) }
        thread.stop()
        #expect(seen.withLock { $0 } == Array(0..<100))
    }

    @Test func refusesWorkAboveItsBound() {
        let thread = WorkThread(queueMax: 2)
        let gate = ResultSlot<Bool>()
        let started = ResultSlot<Bool>()
        #expect(thread.run {
            started.fill(true)
            _ = gate.take()
        })
        _ = started.take()
        #expect(thread.run {})
        #expect(thread.run {})
        #expect(!thread.run {})
        gate.fill(true)
        thread.stop()
    }

    @Test func aLoopRunsWhatOthersPostAndAnswersThem() {
        let loop = EventLoop()
        #expect(loop.runAndWait { loop.isCurrent })
        loop.stop()
    }
}

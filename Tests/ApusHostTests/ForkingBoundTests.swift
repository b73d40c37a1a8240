import ApusCore
import ApusLoop
import ApusTestSupport
import Testing

@testable import ApusHost

/// How many zygotes there are and when one that failed has a successor, with a launcher that says when and how a launch ends and a clock
/// that stands still.
@Suite struct ForkingBoundTests {
    /// Keeps what is asked of it until a test answers.
    private final class Asked: WorkerLauncher {
        typealias Completion = (Result<LaunchedWorker, ApusError>) -> Void
        var onExit: ((LaunchTicket, WorkerExit) -> Void)?
        private(set) var zygotes: [Completion] = []
        private(set) var alone = 0

        func launch(_ order: LaunchOrder, _ completion: @escaping Completion) {
            if order.runtime == .forks { self.zygotes.append(completion) } else { self.alone += 1 }
        }

        func kill(_ ticket: LaunchTicket) {}
    }

    /// On the loop's thread only.
    private final class Site {
        let asked = Asked()
        var now = Timestamp(milliseconds: 1_000_000)
        private(set) var launcher: ForkingLauncher!

        init(_ loop: EventLoop) {
            self.launcher = ForkingLauncher(self.asked, loop: loop, clock: { [unowned self] in self.now }) { _, _, _ in }
        }

        /// Twice, since the first call of a function waits for no zygote.
        func call(_ function: Int, times: Int = 2) {
            let name = ResourceName(.default, "function-\(function)") ?? ResourceName(.default, "f").unsafelyUnwrapped
            var order = LaunchOrder(runtime: .python, bundle: "", arguments: [])
            order.fork = ForkOrder(function: name, revision: "1", children: 4, initialization: [])
            for _ in 0..<times { self.launcher.launch(order) { _ in } }
        }
    }

    private func withSite(_ body: @escaping (Site) -> Void) {
        let loop = EventLoop()
        let body = Carried(body)
        loop.runAndWait {
            let site = Site(loop)
            body.value(site)
            site.launcher.close()
        }
        loop.stop()
    }

    @Test func functionsBeyondTheBoundHaveASandboxForEachCall() {
        self.withSite { site in
            for function in 0..<Limits.Host.zygotes { site.call(function) }
            #expect(site.asked.zygotes.count == Limits.Host.zygotes)
            let alone = site.asked.alone
            site.call(Limits.Host.zygotes)
            #expect(site.asked.zygotes.count == Limits.Host.zygotes, "there are as many as there may be")
            #expect(site.asked.alone == alone + 2, "each call of one more function is launched by itself")
            // One that could not be made gives its place to whoever calls next.
            site.asked.zygotes[0](.failure(ApusError(.sandboxUnavailable, "no")))
            site.call(Limits.Host.zygotes, times: 1)
            #expect(site.asked.zygotes.count == Limits.Host.zygotes + 1)
        }
    }

    @Test func afterOneThatFailedTheNextIsStartedAfterTheBoundAndNotBefore() {
        self.withSite { site in
            site.call(1)
            #expect(site.asked.zygotes.count == 1)
            site.asked.zygotes[0](.failure(ApusError(.sandboxUnavailable, "no")))
            site.now = site.now + Limits.Host.zygoteBackoff + TimeSpan(microseconds: -1)
            site.call(1)
            #expect(site.asked.zygotes.count == 1, "it has a sandbox of its own meanwhile")
            site.now = site.now + .microseconds(1)
            site.call(1, times: 1)
            #expect(site.asked.zygotes.count == 2)
        }
    }
}

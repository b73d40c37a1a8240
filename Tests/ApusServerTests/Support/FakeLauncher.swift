import ApusCore
import Glibc

/// Launches nothing: gives pipes whose other ends the test holds. Forgets a completion once it was called, as the nursery's
/// client does.
final class FakeLauncher: WorkerLauncher {
    var onExit: ((LaunchTicket, WorkerExit) -> Void)?
    private(set) var orders: [LaunchOrder] = []
    private(set) var killed: [LaunchTicket] = []
    /// What the process would write to; closed by the test.
    private(set) var stdout: CInt = -1
    private(set) var stderr: CInt = -1
    /// The process's ends of the channels that a build does not use.
    private(set) var others: [CInt] = []
    private var waiting: ((Result<LaunchedWorker, ApusError>) -> Void)?

    func launch(_ order: LaunchOrder, _ completion: @escaping (Result<LaunchedWorker, ApusError>) -> Void) {
        self.orders.append(order)
        self.waiting = completion
    }

    func kill(_ ticket: LaunchTicket) { self.killed.append(ticket) }

    func refuse(_ error: ApusError) {
        let completion = self.waiting
        self.waiting = nil
        completion?(.failure(error))
    }

    func accept(_ ticket: LaunchTicket) {
        var ends: [(ours: CInt, theirs: CInt)] = []
        for _ in 0..<5 {
            var pair: [CInt] = [-1, -1]
            guard pipe(&pair) == 0,
                pair.allSatisfy({ fcntl($0, F_SETFL, O_NONBLOCK) == 0 && fcntl($0, F_SETFD, FD_CLOEXEC) == 0 })
            else { return self.refuse(ApusError(.internal, "no pipe")) }
            ends.append((pair[0], pair[1]))
        }
        (self.stdout, self.stderr) = (ends[3].theirs, ends[4].theirs)
        self.others = ends[..<3].map(\.theirs)
        let completion = self.waiting
        self.waiting = nil
        completion?(
            .success(
                LaunchedWorker(
                    ticket: ticket, toWorker: ends[0].ours, fromWorker: ends[1].ours, descriptors: ends[2].ours,
                    stdout: ends[3].ours,
                    stderr: ends[4].ours)))
    }

    /// Writes as the process would; what the pipe does not take is lost.
    @discardableResult
    static func write(_ bytes: [UInt8], to descriptor: CInt) -> Int {
        bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    }

    /// Bytes that wait in the pipe of the standard output.
    var waitingOutput: CInt {
        var count: CInt = -1
        _ = ioctl(self.stdout, UInt(FIONREAD), &count)
        return count
    }

    /// Whether nobody reads what is written there any more.
    static func isAbandoned(_ descriptor: CInt) -> Bool {
        var poll = pollfd(fd: descriptor, events: 0, revents: 0)
        return Glibc.poll(&poll, 1, 0) == 1 && poll.revents & Int16(POLLERR) != 0
    }

    func closeAll() {
        for descriptor in [self.stdout, self.stderr] + self.others where descriptor >= 0 { close(descriptor) }
    }
}

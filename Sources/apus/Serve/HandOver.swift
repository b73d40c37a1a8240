internal import ApusCore
internal import ApusTelemetry
internal import CShims
internal import Glibc

/// The running server's side of an upgrade, on the main thread.
///
/// Listens at `run/upgrade.sock`, which the server's user and root can reach; who connects is looked at all the same.
final class HandOver {
    private enum State {
        /// Nobody asked. To `offered`.
        case waiting
        /// The sockets were sent. To `waiting` when the other leaves or is slow, to `taken`.
        case offered(HandOverLine, process: pid_t, since: Int64)
        /// The other one takes over. Last.
        case taken(HandOverLine, process: pid_t)
    }

    private let listener: CInt
    private let journal: Log
    private let offer: HandOverMessage.Offer
    private var state = State.waiting
    /// Second names of the listening sockets: the loops close theirs when they stop.
    private var sockets: [CInt]

    /// - Parameter sockets: listening; duplicated here.
    /// - Throws: `data_directory_invalid` when the folder takes no socket.
    init(folder: String, sockets: [CInt], offer: HandOverMessage.Offer, journal: Log) throws(ApusError) {
        let run = open("\(folder)/run", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        defer { if run >= 0 { close(run) } }
        let listener = run < 0 ? -errno : apus_hand_over_listen(run, HandOverMessage.socketName)
        guard listener >= 0 else {
            throw ApusError(
                .dataDirectoryInvalid,
                "cannot listen at \(folder)/run/\(HandOverMessage.socketName): \(String(cString: strerror(-listener)))")
        }
        self.listener = listener
        self.journal = journal
        self.offer = offer
        self.sockets = sockets.map { fcntl($0, F_DUPFD_CLOEXEC, 0) }
    }

    deinit {
        close(self.listener)
        self.closeSockets()
    }

    /// Before the server stops: a socket that nobody accepts from would keep callers waiting.
    func closeSockets() {
        for socket in self.sockets where socket >= 0 { close(socket) }
        self.sockets = []
    }

    /// What to look at for ``advance()``.
    var descriptors: [CInt] {
        if case .offered(let line, _, _) = self.state { return [self.listener, line.descriptor] }
        return [self.listener]
    }

    /// Does what can be done without waiting.
    /// - Returns: true when the other server takes over now: let go of the log, then call ``released()``.
    func advance() -> Bool {
        self.takeConnection()
        guard case .offered(let line, let process, let since) = self.state else { return false }
        do throws(ApusError) {
            guard let packet = try Self.waiting(on: line) else {
                guard Self.now - since > Int64(Limits.Serve.offerMilliseconds) else { return false }
                throw ApusError(.deadlineExceeded, "it did not go on in time")
            }
            for descriptor in packet.descriptors { close(descriptor) }
            guard packet.message == .take else { throw ApusError(.protocolError, "it said something else than `take`") }
            self.journal.info("handing over to another server", ["process": "\(process)"])
            self.state = .taken(line, process: process)
            return true
        } catch {
            self.journal.warning("an upgrade was given up; this server goes on", ["reason": error.message])
            self.state = .waiting
            return false
        }
    }

    /// The log is free: the other server takes it. Waits until that one serves.
    /// - Throws: `start_failed` when it did not come to that: nobody serves now.
    func released() throws(ApusError) {
        guard case .taken(let line, let process) = self.state else { return }
        self.closeSockets()
        do throws(ApusError) {
            try line.send(.released)
            guard try line.receive(milliseconds: Limits.Serve.takenMilliseconds)?.message == .serving else {
                throw ApusError(.startFailed, "it ended before it served")
            }
        } catch {
            throw ApusError(
                .startFailed, "process \(process) took over and failed: \(error.message); start the server again")
        }
    }

    private func takeConnection() {
        let accepted = apus_hand_over_accept(self.listener)
        guard accepted >= 0 else { return }
        let line = HandOverLine(adopting: accepted)
        do throws(ApusError) {
            let peer = try line.peer()
            guard peer.user == 0 || peer.user == geteuid() else {
                return try line.send(.refused("user \(peer.user) may not upgrade this server: root may"))
            }
            // Sent at once after the connection. Read in any case: what is closed with something unread is a reset to the other end.
            guard case .hello? = try line.receive(milliseconds: Limits.Serve.lingerStepMilliseconds)?.message else {
                return
            }
            if case .offered(_, let process, _) = self.state {
                return try line.send(.refused("another upgrade is under way, by process \(process): wait for its end"))
            }
            try line.send(.offer(self.offer), descriptors: self.sockets)
            self.state = .offered(line, process: peer.process, since: Self.now)
        } catch {
            self.journal.warning("an upgrade could not begin; this server goes on", ["reason": error.message])
        }
    }

    /// - Returns: nil when nothing has come yet.
    private static func waiting(on line: HandOverLine) throws(ApusError) -> (
        message: HandOverMessage, descriptors: [CInt]
    )? {
        var interest = pollfd(fd: line.descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&interest, 1, 0) == 1 else { return nil }
        guard let packet = try line.receive(milliseconds: 0) else {
            throw ApusError(.cancelled, "it left before it took over")
        }
        return packet
    }

    private static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
    }
}

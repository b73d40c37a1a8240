internal import ApusCore
internal import ApusHTTP
internal import ApusLog
internal import ApusLoop
internal import ApusSandbox
internal import ApusServer
internal import ApusTelemetry
internal import CShims
internal import Glibc
internal import Synchronization

/// The life of a server process: what needs root first, then dropping it, then serving until a signal or a successor.
enum ServerProcess {
    static func run(_ options: ServeOptions, _ supervisor: Supervisor) throws {
        if options.isRootless {
            guard geteuid() != 0 else {
                throw ApusError(.invalidArgument, "--rootless is for an ordinary user: as root leave it out")
            }
        } else if geteuid() != 0 {
            throw Privileges.needsRoot
        }
        try Privileges.closeInherited()
        HeapBounds.set()
        // Who started it goes on once the server serves; everything from here on happens in the child.
        let starter = options.isInBackground ? try Starter(supervisor) : nil
        let signals = try Signals()
        let start = try PrivilegedStart(options)
        let journal = try Self.journal(options)
        Self.warn(of: start.report, options.journal, journal)
        for warning in options.warnings { journal.warning(warning) }
        var configuration = options.server
        configuration.certificate = start.certificate
        configuration.egressAuthorities = start.egressAuthorities
        configuration.port = start.port
        let clock = SystemClock()
        let board = KafkaBoard { clock.now }
        let choice = try EventLogChoice.open(options, start.keys, journal, board) { clock.now }
        if options.kafka.bootstrap != nil {
            configuration.kafkaFigures = { board.figures }
            let folder = options.server.dataDirectory
            configuration.node = try options.kafka.node ?? NodeName.load(in: folder)
        }
        let handOver = try Self.handOver(configuration, start, journal)
        let server = try Server(
            configuration,
            Server.Parts(
                log: choice.log, journal: journal, sockets: start.sockets, channels: start.channels,
                report: start.report, keys: start.keys, ownership: choice.ownership)
        ) {
            Self.end(because: journal)
        }
        Self.announce(configuration, start, journal)
        for warning in server.warnings { journal.warning(warning) }
        for problem in server.problems { journal.warning("not ready: \(problem)") }
        do throws(ApusError) {
            if let file = start.portFile { try Self.write(start.port, to: file) }
        } catch {
            server.stop()
            throw error
        }
        do throws(ApusError) { try start.takeOver?.confirm() } catch {
            journal.warning("the old server did not hear that this one serves", ["reason": error.message])
        }
        if let starter {
            starter.succeed()
        } else {
            // A successor in the foreground is no child of its supervisor's choosing: it says which process counts.
            let told =
                start.takeOver == nil ? supervisor.tell("READY=1") : supervisor.tell("MAINPID=\(getpid())", "READY=1")
            if !told { journal.warning("the supervisor at NOTIFY_SOCKET could not be told that the server is ready") }
        }
        try Self.live(server, signals, handOver, journal, supervisor)
    }

    /// Serves until a signal or a successor.
    private static func live(
        _ server: Server, _ signals: Signals, _ handOver: HandOver, _ journal: Log, _ supervisor: Supervisor
    ) throws(ApusError) {
        while true {
            Self.wait(for: [signals.descriptor] + handOver.descriptors, milliseconds: 1_000)
            switch signals.next() {
            case .stop(let number):
                journal.info("stopping", ["signal": "\(number)"])
                supervisor.tell("STOPPING=1")
                handOver.closeSockets()
                server.stop()
                journal.info("stopped")
                return
            case .reopen:
                journal.reopen()
                journal.info("the log file is open anew")
            case nil: break
            }
            guard handOver.advance() else { continue }
            server.release()
            // Before the other one serves: it may take this one's place in every other way.
            let lingering = Lingering(server)
            do throws(ApusError) { try handOver.released() } catch {
                journal.error("the upgrade failed after this server had let go", ["reason": error.message])
                _exit(1)
            }
            journal.info("another server goes on; this one closes the connections it has left")
            lingering.wait(signals)
            server.endTelemetry()
            // Loops still run: nothing may run the process's exit handlers under them.
            _exit(0)
        }
    }

    private static func wait(for descriptors: [CInt], milliseconds: CInt) {
        var interests = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        poll(&interests, nfds_t(interests.count), milliseconds)
    }

    private static func journal(_ options: ServeOptions) throws(ApusError) -> Log {
        let journal = options.journal
        guard let path = journal.file else { return Log(level: journal.level, format: journal.format) }
        let file = try LogFile(path: path, maxBytes: journal.maxBytes, keep: journal.keep)
        return Log(level: journal.level, format: journal.format, file: file)
    }

    private static func handOver(
        _ configuration: ServerConfiguration, _ start: PrivilegedStart, _ journal: Log
    ) throws(ApusError) -> HandOver {
        try HandOver(
            folder: configuration.dataDirectory, sockets: start.sockets,
            offer: HandOverMessage.Offer(
                release: Version.text, process: Int64(getpid()), address: configuration.address,
                port: Int64(start.port), shards: Int64(configuration.shards), logFormat: Int64(EmbeddedLog.format)),
            journal: journal)
    }

    /// What a server without root has lost: the very words that its documentation explains, a line of their own where lines are for
    /// people.
    private static func warn(of report: HostReport, _ options: ServeOptions.Journal, _ journal: Log) {
        for warning in report.warnings {
            if options.format == .text, options.file == nil {
                let line = Array("WARN \(warning)\n".utf8)
                _ = Glibc.write(STDERR_FILENO, line, line.count)
            } else {
                journal.warning(warning)
            }
        }
    }

    private static func announce(_ configuration: ServerConfiguration, _ start: PrivilegedStart, _ journal: Log) {
        for line in start.report.lines where !line.isEnforced {
            journal.warning("isolation layer missing: \(line.name)", ["detail": line.detail])
        }
        let url = ListenAddress.url(
            configuration.address, start.port, isEncrypted: configuration.certificate != nil)
        journal.info(
            "serving on \(url)",
            [
                "data": configuration.dataDirectory, "version": Version.text,
                "isolation": start.report.mode.rawValue,
                "after": start.takeOver.map { "process \($0.offer.process)" } ?? "a start",
            ])
    }

    private static func end(because journal: Log) {
        journal.error("the nursery is gone and with it every sandbox: the server ends; its supervisor starts it again")
        // From a loop: nothing may run the process's exit handlers while other threads go on.
        _exit(1)
    }

    private static func write(_ port: UInt16, to descriptor: CInt) throws(ApusError) {
        let text = Array("\(port)\n".utf8)
        defer { close(descriptor) }
        guard Glibc.write(descriptor, text, text.count) == text.count else {
            throw ApusError(
                .invalidArgument,
                "cannot write the port file: \(String(cString: strerror(errno))); give another --port-file")
        }
    }
}

/// The process that asked for a server in the background, and waits in ``apus_continue_in_background(_:)`` to hear of it.
private struct Starter {
    private let report: CInt

    /// Goes on in a child.
    init(_ supervisor: Supervisor) throws(ApusError) {
        let report =
            if let address = supervisor.address {
                apus_continue_in_background(address)
            } else {
                apus_continue_in_background(nil)
            }
        guard report >= 0 else {
            throw ApusError(.internal, "no process for the background: \(String(cString: strerror(-report)))")
        }
        self.report = report
    }

    func succeed() {
        // Nobody waits any more when that process was killed; the server serves all the same.
        var code: UInt8 = 0
        _ = Glibc.write(self.report, &code, 1)
        close(self.report)
    }
}

/// The signals a server knows, blocked in every thread and taken by the main one.
private struct Signals {
    enum Order {
        case stop(CInt)
        /// The log file was moved away.
        case reopen
    }

    let descriptor: CInt

    /// Before any thread exists: threads inherit the mask.
    init() throws(ApusError) {
        var signals = sigset_t()
        sigemptyset(&signals)
        for signal in [SIGTERM, SIGINT, SIGHUP, SIGUSR1] { sigaddset(&signals, signal) }
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        self.descriptor = apus_signal_descriptor(&signals)
        guard self.descriptor >= 0 else {
            throw ApusError(.internal, "no descriptor for signals: \(String(cString: strerror(-self.descriptor)))")
        }
    }

    /// - Returns: nil when none waits.
    func next() -> Order? {
        switch apus_next_signal(self.descriptor) {
        case SIGHUP, SIGUSR1: .reopen
        case let number where number > 0: .stop(number)
        default: nil
        }
    }
}

/// A server that let go, while the last of its connections close.
private final class Lingering: Sendable {
    private let left: Atomic<Int>

    init(_ server: Server) {
        self.left = Atomic(server.shardCount)
        server.linger { self.left.subtract(1, ordering: .releasing) }
    }

    /// Until the last is closed, or a signal says that it is enough.
    func wait(_ signals: Signals) {
        while self.left.load(ordering: .acquiring) > 0 {
            var interest = pollfd(fd: signals.descriptor, events: Int16(POLLIN), revents: 0)
            poll(&interest, 1, Limits.Serve.lingerStepMilliseconds)
            if case .stop = signals.next() { return }
        }
    }
}

internal import ApusCore
internal import ApusHTTP
internal import ApusLog
internal import ApusLoop
internal import ApusSandbox
internal import ApusServer
internal import ApusTelemetry
internal import Glibc

/// The life of a server process: what needs root first, then dropping it, then serving until a signal.
enum ServerProcess {
    static func run(_ options: ServeOptions) throws {
        // Before any thread exists: threads inherit the mask, and this one waits for the signals.
        var signals = sigset_t()
        sigemptyset(&signals)
        for signal in [SIGTERM, SIGINT, SIGHUP] { sigaddset(&signals, signal) }
        pthread_sigmask(SIG_BLOCK, &signals, nil)

        let privileged = try Self.prepareAsRoot(options)
        let journal = Log(format: options.logFormat)
        let clock = SystemClock()
        let log = try EmbeddedLog(
            directory: options.server.dataDirectory, configuration: options.log, clock: { clock.now })
        let server = try Server(
            options.server,
            Server.Parts(
                log: log, journal: journal, sockets: privileged.sockets, channels: privileged.channels,
                report: privileged.report)
        ) {
            Self.end(because: journal)
        }
        Self.warn(privileged.report, journal)
        journal.info(
            "serving on http://\(options.server.address):\(privileged.port)", ["data": options.server.dataDirectory])
        if let file = privileged.portFile {
            do throws(ApusError) { try Self.write(privileged.port, to: file) } catch {
                server.stop()
                throw error
            }
        }

        var received: CInt = 0
        while sigwait(&signals, &received) != 0 || received == SIGHUP {}
        journal.info("stopping", ["signal": "\(received)"])
        server.stop()
        journal.info("stopped")
    }

    /// What only root can do, done before any thread exists.
    private struct Privileged {
        var sockets: [CInt]
        var port: UInt16
        var channels: [CInt]
        var report: HostReport
        var portFile: CInt?
    }

    private static func prepareAsRoot(_ options: ServeOptions) throws(ApusError) -> Privileged {
        let configuration = options.server
        guard geteuid() == 0 else {
            throw ApusError(
                .needsRoot,
                "sandboxes need root: run `sudo apus serve`; the server drops its privileges right after it has started"
            )
        }
        try Privileges.closeInherited()
        try configuration.check(isLoopback: ListeningSocket.isLoopback(configuration.address))
        let files = try InstalledFiles.locate()
        try Privileges.prepare()
        let portFile = try options.portFile.map { (path) throws(ApusError) in try Self.openPortFile(path) }
        var sockets: [CInt] = []
        var port = configuration.port
        for index in 0..<configuration.shards {
            let socket = try ListeningSocket.open(
                address: configuration.address, port: port, reusePort: configuration.shards > 1, joins: index > 0)
            port = ListeningSocket.port(of: socket)
            sockets.append(socket.release())
        }
        try DataDirectory.prepareFolder(configuration.dataDirectory)
        let nursery = try Nursery.start(
            Nursery.Configuration(
                executable: files.nursery, dataDirectory: configuration.dataDirectory, runtimes: files.runtimes,
                profiles: files.profiles,
                // One line more than shards: builds have their own.
                shards: configuration.shards + 1
            )
        )
        try DataDirectory.prepare(
            configuration.dataDirectory, user: nursery.report.serverUser, group: nursery.report.serverGroup)
        try Privileges.drop(to: nursery.report)
        return Privileged(
            sockets: sockets, port: port, channels: nursery.channels, report: nursery.report,
            portFile: portFile
        )
    }

    /// As root, in a folder where others may write: never through a link, and only a regular file with one name is emptied.
    private static func openPortFile(_ path: String) throws(ApusError) -> CInt {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0o644)
        var status = stat()
        if descriptor >= 0, fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_nlink == 1,
            ftruncate(descriptor, 0) == 0
        {
            return descriptor
        }
        let reason = descriptor < 0 ? String(cString: strerror(errno)) : "it is not a regular file with one name"
        if descriptor >= 0 { close(descriptor) }
        throw ApusError(.invalidArgument, "cannot write the port to '\(path)': \(reason); give another --port-file")
    }

    private static func warn(_ report: HostReport, _ journal: Log) {
        for line in report.lines where !line.isEnforced {
            journal.warning("isolation layer missing: \(line.name)", ["detail": line.detail])
        }
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

internal import ApusCore
internal import ApusHTTP
internal import ApusLoop
internal import ApusStore
internal import ApusTelemetry

/// Writes a backup to one client: a part at a time, each made on a thread of its own once the client has taken the one before.
///
/// Confined to the loop of the exchange. The log ends a copy that stalls; the client is told in the stream, for when it reads on.
final class BackupStream: EndableStream, @unchecked Sendable {
    // SAFETY: confined to the runtime's loop, but for `maker`, which one step at a time uses on the backup's thread.

    private enum State {
        /// The copy is being begun; the head is not out. To `open`, `closed`.
        case starting
        case open
        case closed
    }

    /// Makes the bytes of one part after the other.
    private final class Maker {
        let copy: any LogCopy
        private var walk: BackupWalk
        private var encoder = BackupEncoder()

        init(_ copy: any LogCopy, _ walk: BackupWalk) {
            self.copy = copy
            self.walk = walk
        }

        /// - Returns: nil when all of it was given.
        func next() throws(ApusError) -> [UInt8]? {
            guard let part = try self.walk.next() else { return nil }
            if case .end = part { return self.encoder.encode(.end(self.encoder.counts)) }
            return self.encoder.encode(part)
        }

        func failure(_ error: ApusError) -> [UInt8] { self.encoder.encode(.failure(error)) }
        var counts: BackupCounts { self.encoder.counts }
    }

    private let exchange: HTTPExchange
    private let runtime: ShardRuntime
    private let server: Server
    private let thread: WorkThread
    private var state = State.starting
    private var isMaking = false
    private var maker: Maker?
    private var timer: LoopTimer?

    init(_ exchange: HTTPExchange, _ runtime: ShardRuntime, _ server: Server) {
        self.exchange = exchange
        self.runtime = runtime
        self.server = server
        self.thread = server.backups
    }

    func start() {
        self.exchange.onGone = { self.close() }
        self.runtime.opened(self)
        let isQueued = self.thread.run { [server = self.server, loop = self.runtime.loop] in
            do throws(ApusError) {
                let (copy, hashes) = try server.beginBackup()
                let walk = BackupWalk(copy, bundles: server.bundles, hashes: hashes, created: server.clock.now)
                loop.post { self.open(copy, walk) }
            } catch {
                loop.post { self.refuse(error) }
            }
        }
        if !isQueued { self.refuse(ApusError(.overloaded, "too many backups wait: try again when those are over")) }
    }

    private func open(_ copy: any LogCopy, _ walk: BackupWalk) {
        guard self.state == .starting else { return self.server.endBackup(copy) }
        self.state = .open
        self.maker = Maker(copy, walk)
        self.exchange.stream(
            status: 200, headers: [("Content-Type", "application/vnd.apus.backup"), ("Cache-Control", "no-store")])
        self.exchange.onDrained = { [weak self] in self?.step() }
        let timer = LoopTimer(self.runtime.loop) { [weak self] in
            guard let self, !self.isMaking, let failure = self.maker?.copy.failure else { return }
            self.fail(failure)
        }
        timer.start(
            milliseconds: Limits.Server.backupCheckMilliseconds, repeating: Limits.Server.backupCheckMilliseconds)
        self.timer = timer
        self.server.journal.info("a backup was begun")
        self.step()
    }

    private func refuse(_ error: ApusError) {
        guard self.state == .starting else { return }
        self.exchange.respond(error)
        self.close()
    }

    private func step() {
        guard self.state == .open, !self.isMaking, let maker = self.maker else { return }
        self.isMaking = true
        // SAFETY: `isMaking` keeps the loop from the maker until the step has come back.
        nonisolated(unsafe) let lent = maker
        let isQueued = self.thread.run { [loop = self.runtime.loop] in
            do throws(ApusError) {
                let bytes = try lent.next()
                loop.post { self.take(bytes) }
            } catch {
                loop.post {
                    self.isMaking = false
                    self.fail(error)
                }
            }
        }
        if !isQueued {
            self.isMaking = false
            self.fail(ApusError(.shuttingDown, "the server is stopping: take the backup when it is back"))
        }
    }

    private func take(_ bytes: [UInt8]?) {
        self.isMaking = false
        guard self.state == .open else { return self.letGo() }
        guard let bytes else {
            let counts = self.maker?.counts ?? BackupCounts()
            self.server.journal.info(
                "a backup was taken",
                ["records": "\(counts.records)", "bundles": "\(counts.bundles)", "bytes": "\(counts.bytes)"])
            self.exchange.end()
            return self.close()
        }
        // What does not fit is taken all the same; the next step waits until it has left.
        if self.exchange.write(bytes) { self.step() }
    }

    /// Ends the backup with its reason as the last block.
    private func fail(_ error: ApusError) {
        guard self.state == .open, let maker = self.maker else { return self.letGo() }
        self.server.journal.warning("a backup was ended: \(error.message)", ["code": error.code.rawValue])
        _ = self.exchange.write(maker.failure(error))
        self.exchange.end()
        self.close()
    }

    func end() {
        let error = ApusError(.shuttingDown, "the server is stopping: take the backup when it is back")
        switch self.state {
        case .starting: self.refuse(error)
        case .open:
            // The step under way has the maker; without an end the client knows that something is missing.
            guard !self.isMaking else {
                self.exchange.end()
                return self.close()
            }
            self.fail(error)
        case .closed: break
        }
    }

    private func close() {
        guard self.state != .closed else { return }
        self.state = .closed
        self.exchange.onGone = nil
        self.exchange.onDrained = nil
        self.timer?.close()
        self.timer = nil
        self.runtime.closed(self)
        self.letGo()
    }

    /// The copy ends as soon as no step reads from it.
    private func letGo() {
        guard !self.isMaking, let maker = self.maker else { return }
        self.maker = nil
        self.server.endBackup(maker.copy)
    }
}

extension Server {
    /// Begins a copy of the log, between two control writes, and names the bundles that belong to it. They stay until
    /// ``endBackup(_:)``. On the backups' thread.
    /// - Throws: `conflict` while another backup is under way, `not_yet_supported` on a log that cannot be copied.
    func beginBackup() throws(ApusError) -> (copy: any LogCopy, bundles: [String]) {
        guard let log = self.log as? any CopyableLog else {
            throw ApusError(.notYetSupported, "this event log cannot be copied while it serves: use its own tools")
        }
        return try self.control.exclusively { (catalogue) throws(ApusError) in
            let copy = try log.beginCopy()
            let hashes = catalogue.bundlesInUse.filter { self.bundles.contains($0) }.sorted()
            self.usage.backupBegins(bundles: hashes)
            return (copy, hashes)
        }
    }

    func endBackup(_ copy: any LogCopy) {
        copy.end()
        self.usage.backupEnds()
    }
}

public import ApusCore
internal import Glibc

/// Gives workers their way out of the sandbox. Called on shards' loops.
public protocol EgressDirecting: AnyObject, Sendable {
    /// Takes both descriptors.
    /// - Parameters:
    ///   - listener: the socket that listens in the worker's own network.
    ///   - values: a sealed memory file with what its requests are given, -1 for nothing.
    func open(_ worker: LaunchTicket, _ access: NetworkAccess, listener: CInt, values: CInt)
    /// The worker ended.
    func close(_ worker: LaunchTicket)
}

/// What became of one connection of a worker.
public struct EgressNote: Sendable {
    public enum Verdict: Sendable { case allowed, refused, failed, closed }

    public var verdict: Verdict
    /// For the function's log.
    public var text: String
    public var sent: UInt64
    public var received: UInt64
    /// Notes about this worker that nobody was told.
    public var dropped: UInt64

    public init(_ verdict: Verdict, _ text: String, sent: UInt64 = 0, received: UInt64 = 0, dropped: UInt64 = 0) {
        self.verdict = verdict
        self.text = text
        self.sent = sent
        self.received = received
        self.dropped = dropped
    }
}

public struct EgressCounts: Sendable, Equatable {
    public var allowed: UInt64 = 0
    public var refused: UInt64 = 0
    public var failed: UInt64 = 0
    public var sent: UInt64 = 0
    public var received: UInt64 = 0
    public var dropped: UInt64 = 0
}

extension Shard {
    /// Opens what a function's requests are given, before its worker starts.
    /// - Throws: `secret_unavailable`, `secret_not_found`, `overloaded`, `sandbox_unavailable`.
    func open(injectionsFor channel: WorkerChannel, _ order: LaunchOrder) throws(ApusError) {
        guard let network = channel.function.function.network else { return }
        guard self.configuration.egress != nil else {
            throw ApusError(.sandboxUnavailable, "this host has no egress process, and the function asks for a network")
        }
        guard !network.inject.isEmpty else { return }
        channel.take(injections: try self.configuration.injections(channel.function.function))
    }

    /// A worker that connects before the egress process knows of it waits in its socket's queue.
    func openWay(for channel: WorkerChannel, _ launched: LaunchedWorker) {
        guard launched.listener >= 0 else { return }
        guard let egress = self.configuration.egress, let network = channel.function.function.network else {
            _ = Glibc.close(launched.listener)
            return
        }
        egress.open(launched.ticket, network, listener: launched.listener, values: channel.takeInjections())
    }

    /// Counts what became of a connection and writes it to the function's log.
    public func noted(_ note: EgressNote, of worker: LaunchTicket) {
        self.statistics.egress.sent += note.sent
        self.statistics.egress.received += note.received
        self.statistics.egress.dropped += note.dropped
        var level = LogPayload.Level.info
        switch note.verdict {
        case .allowed: self.statistics.egress.allowed += 1
        case .refused:
            self.statistics.egress.refused += 1
            level = .warning
        case .failed:
            self.statistics.egress.failed += 1
            level = .warning
        case .closed: level = .debug
        }
        // One that ended a moment ago has no log any more.
        guard let channel = self.workers[worker] else { return }
        self.logged(
            Array(note.text.utf8), isCut: false, level: level, by: channel, channel.attempts.only, now: self.now)
    }
}

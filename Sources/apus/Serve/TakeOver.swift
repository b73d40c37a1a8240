internal import ApusCore
internal import ApusHTTP
internal import ApusLog
internal import ApusLoop
internal import ApusServer
internal import CShims
internal import Glibc

/// The new server's side of an upgrade, while it is still root and has no thread.
///
/// Everything that can fail is tried before ``release()``: until then the running server goes on. After it that one is on its way
/// out, and only a supervisor can help.
struct TakeOver {
    let offer: HandOverMessage.Offer
    /// Listening already; connections queue on them.
    let sockets: [CInt]
    private let line: HandOverLine

    /// Asks the running server and agrees with its offer.
    /// - Throws: `server_unreachable` when none runs; `configuration_invalid`, `log_format`, `conflict` when this one cannot go on
    ///   where that one stops.
    init(_ configuration: ServerConfiguration) throws(ApusError) {
        let line = try Self.connect(configuration.dataDirectory)
        try line.send(.hello)
        guard let answer = try line.receive(milliseconds: Limits.Serve.answerMilliseconds) else {
            throw ApusError(.conflict, "the running server did not answer: is another upgrade under way?")
        }
        guard case .offer(let offer) = answer.message else {
            if case .refused(let reason) = answer.message { throw ApusError(.conflict, reason) }
            throw ApusError(.protocolError, "the running server did not make an offer")
        }
        self.line = line
        self.offer = offer
        self.sockets = answer.descriptors
        do throws(ApusError) { try self.check(configuration) } catch {
            for socket in answer.descriptors { close(socket) }
            throw error
        }
    }

    private static func connect(_ folder: String) throws(ApusError) -> HandOverLine {
        let top = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        defer { if top >= 0 { close(top) } }
        var owner = stat()
        guard top >= 0, fstat(top, &owner) == 0 else { throw Self.nothingRuns(folder) }
        let run = openat(top, "run", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard run >= 0 else { throw Self.nothingRuns(folder) }
        defer { close(run) }
        let descriptor = apus_hand_over_connect(run, HandOverMessage.socketName)
        guard descriptor >= 0 else { throw Self.nothingRuns(folder) }
        let line = HandOverLine(adopting: descriptor)
        // Whoever listens there gets to name the sockets that this server will serve.
        let peer = try line.peer().user
        guard peer == 0 || peer == owner.st_uid else {
            throw ApusError(
                .conflict, "user \(peer) listens at \(folder)/run/\(HandOverMessage.socketName), not the server's")
        }
        return line
    }

    private static func nothingRuns(_ folder: String) -> ApusError {
        ApusError(
            .serverUnreachable, "no server runs with the data directory \(folder): start one without --upgrade")
    }

    private func check(_ configuration: ServerConfiguration) throws(ApusError) {
        let offer = self.offer
        guard offer.logFormat <= Int64(EmbeddedLog.format) else {
            throw ApusError(
                .logFormat,
                "the running server (\(offer.release)) writes log format \(offer.logFormat), this version knows \(EmbeddedLog.format): "
                    + "a newer one cannot be replaced by an older one")
        }
        guard offer.shards == Int64(configuration.shards) else {
            throw ApusError(
                .configurationInvalid,
                "`shards` is \(configuration.shards) and the running server has \(offer.shards): restart it to change that"
            )
        }
        guard offer.address == configuration.address, configuration.port == 0 || offer.port == Int64(configuration.port)
        else {
            throw ApusError(
                .configurationInvalid,
                "`listen` is \(configuration.address):\(configuration.port) and the running server listens on "
                    + "\(offer.address):\(offer.port): restart it to change that")
        }
        guard self.sockets.count == configuration.shards, self.sockets.allSatisfy({ apus_is_listening($0) == 1 }) else {
            throw ApusError(
                .protocolError, "the running server did not hand over its \(offer.shards) listening sockets")
        }
    }

    /// Tells the running server to go, and waits until it has let go of the log.
    /// - Throws: `conflict` when it will not; it goes on then.
    func release() throws(ApusError) {
        try self.line.send(.take)
        let answer = try self.line.receive(milliseconds: Limits.Serve.releaseMilliseconds)?.message
        switch answer {
        case .released: return
        case .refused(let reason): throw ApusError(.conflict, reason)
        default: throw ApusError(.conflict, "the running server ended before it had handed over: start this one again")
        }
    }

    /// Tells the old server that all is well.
    func confirm() throws(ApusError) { try self.line.send(.serving) }
}

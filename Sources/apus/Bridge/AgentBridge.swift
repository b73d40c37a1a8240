internal import ApusCore
internal import ApusHTTP
internal import ApusLoop
internal import ApusTools
internal import Synchronization

/// Carries messages between an agent on standard input and output and a server's endpoint: each message is a request over HTTP, and
/// whatever comes back is a line. Speaks both eras, as the agent does.
final class AgentBridge: Sendable {
    private struct State {
        /// Of the era with sessions: what the server gave with the answer to `initialize`, and what was agreed on.
        var session: String?
        var version: String?
        /// Requests in progress, and whether each was cancelled.
        var running: [MessageID: Bool] = [:]
        var isOver = false
        var lanes: [(thread: WorkThread, isBusy: Bool)] = []
    }

    private let url: String
    private let token: String?
    private let authorities: String?
    // SAFETY: input is read by the thread of `run` only; output is written while `output` is held.
    nonisolated(unsafe) private let terminal: any Terminal
    private let output = Mutex(())
    private let state = Mutex(State())

    init(url: String, token: String?, authorities: String?, terminal: any Terminal) {
        self.url = url
        self.token = token
        self.authorities = authorities
        self.terminal = terminal
    }

    /// Until standard input ends.
    func run() throws {
        var lines = LineSplitter(lineBytes: Limits.Tools.messageBytes)
        while true {
            let chunk = try self.terminal.readInput()
            if chunk.isEmpty { break }
            for line in try lines.take(chunk) where !line.allSatisfy({ $0 == 0x20 || $0 == 0x09 }) { self.take(line) }
        }
        // What runs is cut off: nobody reads its answer.
        self.state.withLock { $0.isOver = true }
        self.endSession()
    }

    private func take(_ line: [UInt8]) {
        let envelope: Envelope
        do throws(Refusal) { envelope = try Envelope(parsing: line) } catch {
            return self.write(MessageWriter.error(error.id, error.error))
        }
        if envelope.method == "notifications/cancelled", self.cancel(envelope) { return }
        guard let id = envelope.id, !envelope.isAnswer, envelope.method != "initialize" else {
            // What follows depends on it: it is sent before the next line is read.
            return self.exchange(envelope, line)
        }
        self.state.withLock { $0.running[id] = false }
        self.spread { self.exchange(envelope, line) }
    }

    /// An agent that speaks without sessions cancels by this message here; over HTTP it would close its connection.
    /// - Returns: whether that was done.
    private func cancel(_ envelope: Envelope) -> Bool {
        guard let value = envelope.member("requestId", of: envelope.parameters.all) else { return false }
        let id = MessageID(token: Array(envelope.bytes(value)))
        return self.state.withLock { state in
            guard state.session == nil else { return false }
            if state.running[id] != nil { state.running[id] = true }
            return true
        }
    }

    /// Runs one exchange on a thread that has nothing else to do.
    private func spread(_ work: @escaping @Sendable () -> Void) {
        let lane = self.state.withLock { state -> Int? in
            if let free = state.lanes.firstIndex(where: { !$0.isBusy }) {
                state.lanes[free].isBusy = true
                return free
            }
            guard state.lanes.count < Limits.Commands.bridgeThreads else { return nil }
            state.lanes.append((WorkThread(), true))
            return state.lanes.count - 1
        }
        // Above the bound a message waits for the reader's own thread, and with it all that follow.
        guard let lane else { return work() }
        let thread = self.state.withLock { $0.lanes[lane].thread }
        let isTaken = thread.run {
            work()
            self.state.withLock { $0.lanes[lane].isBusy = false }
        }
        if !isTaken { work() }
    }

    // MARK: one exchange

    private func exchange(_ envelope: Envelope, _ line: [UInt8]) {
        let id = envelope.isAnswer ? nil : envelope.id
        defer { if let id { self.state.withLock { _ = $0.running.removeValue(forKey: id) } } }
        do throws(ApusError) {
            let answered = try self.post(envelope, line, id)
            if !answered, let id, !self.isCancelled(id) {
                self.write(
                    MessageWriter.error(
                        id, RPCError(.internalError, "the server closed the connection without an answer")))
            }
        } catch {
            guard let id, !self.isCancelled(id) else { return }
            self.write(MessageWriter.error(id, RPCError(.unavailable, error.message)))
        }
        if envelope.method == "notifications/initialized" { self.follow() }
    }

    private func isCancelled(_ id: MessageID) -> Bool { self.state.withLock { $0.isOver || $0.running[id] ?? false } }

    private func client(_ id: MessageID?) throws(ApusError) -> HTTPClient {
        var configuration = HTTPClient.Configuration()
        configuration.authorities = self.authorities
        configuration.isAborted = { [weak self] in
            guard let self else { return true }
            return id.map { self.isCancelled($0) } ?? self.state.withLock { $0.isOver }
        }
        return try HTTPClient(configuration: configuration)
    }

    /// - Returns: whether an answer was written, or none is due.
    private func post(_ envelope: Envelope, _ line: [UInt8], _ id: MessageID?) throws(ApusError) -> Bool {
        var reader = EventStreamReader(lineBytes: Limits.HTTP.bundleBytes)
        var isStream = false
        var body: [UInt8] = []
        var last: [UInt8] = []
        var failure: ApusError?
        let response = try self.client(id).stream(
            "POST", self.url, headers: self.headers(envelope), body: line,
            onHead: { head in
                isStream = head.header("Content-Type")?.hasPrefix(ServerSentEvent.mediaType) ?? false
                if let session = head.header("Mcp-Session-Id") { self.state.withLock { $0.session = session } }
            },
            onChunk: { chunk in
                guard isStream else {
                    body += chunk
                    return true
                }
                do throws(ApusError) {
                    for event in try reader.take(chunk) where !event.isEmpty {
                        last = event
                        self.write(event)
                    }
                    return true
                } catch {
                    failure = error
                    return false
                }
            })
        if let failure { throw failure }
        if id == nil { return true }
        if isStream { return (try? Envelope(parsing: last))?.isAnswer ?? false }
        if !response.isSuccess { body = response.body }
        guard !body.isEmpty else { return false }
        let isMessage = response.header("Content-Type")?.hasPrefix("application/json") ?? false
        guard isMessage else {
            throw ApusError(.internal, "\(self.url) answered with status \(response.status): \(Self.detail(body))")
        }
        if envelope.method == "initialize" { self.noteVersion(body) }
        self.write(body)
        return true
    }

    private static func detail(_ body: [UInt8]) -> String { String(decoding: body.prefix(512), as: UTF8.self) }

    private func noteVersion(_ body: [UInt8]) {
        guard let answer = try? Envelope(parsing: body),
            let version = answer.text(answer.member("protocolVersion", of: answer.result))
        else { return }
        self.state.withLock { $0.version = version }
    }

    private func headers(_ envelope: Envelope) -> [HTTPHeader] {
        var headers = self.commonHeaders
        headers.append(HTTPHeader("Content-Type", "application/json"))
        headers.append(HTTPHeader("Accept", "application/json, text/event-stream"))
        guard let version = envelope.protocolVersion else { return headers }
        headers.removeAll { $0.isNamed("MCP-Protocol-Version") || $0.isNamed("Mcp-Session-Id") }
        headers.append(HTTPHeader("MCP-Protocol-Version", HeaderText.encode(version)))
        headers.append(HTTPHeader("Mcp-Method", HeaderText.encode(envelope.method)))
        if let name = envelope.routingName { headers.append(HTTPHeader("Mcp-Name", HeaderText.encode(name))) }
        // On this way there are no heads that could repeat arguments.
        headers.append(HTTPHeader(RoutingHead.bridgeHeader, "stdio"))
        return headers
    }

    private var commonHeaders: [HTTPHeader] {
        var headers: [HTTPHeader] = []
        if let token = self.token { headers.append(HTTPHeader("Authorization", "Bearer \(token)")) }
        let (session, version) = self.state.withLock { ($0.session, $0.version) }
        if let session { headers.append(HTTPHeader("Mcp-Session-Id", session)) }
        if let version { headers.append(HTTPHeader("MCP-Protocol-Version", version)) }
        return headers
    }

    // MARK: sessions

    /// What the server says by itself.
    private func follow() {
        self.spread {
            var reader = EventStreamReader(lineBytes: Limits.HTTP.bundleBytes)
            do throws(ApusError) {
                _ = try self.client(nil).stream(
                    "GET", self.url, headers: self.commonHeaders + [HTTPHeader("Accept", ServerSentEvent.mediaType)],
                    onChunk: { chunk in
                        do throws(ApusError) {
                            for event in try reader.take(chunk) where !event.isEmpty { self.write(event) }
                            return true
                        } catch { return false }
                    })
            } catch {
                if !self.state.withLock({ $0.isOver }) {
                    self.terminal.writeError("apus: changes are not told any more: \(error.message)\n")
                }
            }
        }
    }

    private func endSession() {
        guard self.state.withLock({ $0.session }) != nil else { return }
        do throws(ApusError) {
            var configuration = HTTPClient.Configuration()
            configuration.authorities = self.authorities
            configuration.timeoutMilliseconds = 2_000
            _ = try HTTPClient(configuration: configuration).request("DELETE", self.url, headers: self.commonHeaders)
        } catch {
            self.terminal.writeError("apus: the session could not be ended: \(error.message)\n")
        }
    }

    private func write(_ message: [UInt8]) {
        self.output.withLock { _ in
            do throws(TerminalClosed) { try self.terminal.write(message + [0x0A]) } catch {
                self.state.withLock { $0.isOver = true }
            }
        }
    }
}

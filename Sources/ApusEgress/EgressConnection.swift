internal import ApusCore
internal import ApusCrypto
internal import ApusLoop
internal import Glibc

/// One connection of one worker, from its request to its end. Loop thread only.
final class EgressConnection {
    enum Stage: Equatable {
        /// Reads the head of the request. To `resolving`, `connecting` or `leaving`.
        case head
        /// Waits for the addresses of a name. To `connecting` or `leaving`.
        case resolving
        /// Tries addresses that were checked, one after the other. To `handshaking`, `relaying` or `leaving`.
        case connecting
        /// TLS with the server. To `relaying` or `leaving`.
        case handshaking
        /// Bytes go both ways. To `leaving` or `closed`.
        case relaying
        /// An answer goes out, what still comes is thrown away. To `closed`.
        case leaving
        case closed
    }

    private let lease: EgressLease
    private let proxy: EgressProxy
    private var client: SocketEnd?
    private var server: SocketEnd?
    private let up = RelayBuffer()
    private let down = RelayBuffer()
    private(set) var stage = Stage.head
    /// When the stage has taken too long.
    private var deadline: Timestamp
    private var idleSince: Timestamp
    private let until: Timestamp
    private var head: [UInt8] = []
    private var passage: EgressPolicy.Passage?
    /// Of a request that is passed on; nil in a tunnel.
    private var body: BodyPassage?
    private var addresses: [IPAddress] = []
    private var address: IPAddress?
    private var lastProblem = "no address of it answers"
    private var isClientAtEnd = false
    private var isServerAtEnd = false
    private var isServerFinished = false
    private var isClientFinished = false
    private var sent: UInt64 = 0
    private var received: UInt64 = 0

    /// Takes the descriptor.
    /// - Returns: nil when it cannot be watched.
    init?(_ lease: EgressLease, _ proxy: EgressProxy, descriptor: CInt) {
        self.lease = lease
        self.proxy = proxy
        let now = proxy.now
        self.deadline = now + .seconds(Limits.Egress.headSeconds)
        self.until = now + proxy.settings.longest
        self.idleSince = now
        let client = SocketEnd(proxy.loop, descriptor) { [weak self] _ in self?.proceed() }
        guard let client else { return nil }
        self.client = client
        client.await(reading: true, writing: false)
    }

    // MARK: events

    private func proceed() {
        switch self.stage {
        case .head: self.readHead()
        case .resolving, .closed: break
        case .connecting: self.connected()
        case .handshaking: self.handshake()
        case .relaying: self.relay()
        case .leaving: self.leave()
        }
    }

    /// Looks at the time.
    func sweep(now: Timestamp) {
        switch self.stage {
        case .closed: break
        case .leaving: if now >= self.deadline { self.close() }
        case .relaying:
            if now >= self.until {
                self.end(EgressRefusal(.timeout, "it lasted longer than \(self.proxy.settings.longest)"))
            } else if now - self.idleSince >= self.proxy.settings.idle {
                self.end(EgressRefusal(.timeout, "nothing passed for \(self.proxy.settings.idle)"))
            }
        case .head:
            // A head that never comes whole is told to nobody: its sender does not listen.
            if now >= self.deadline {
                self.refuse(
                    EgressRefusal(
                        .timeout, "the head of the request did not come in \(Limits.Egress.headSeconds) s", status: 408)
                )
            }
        case .resolving, .connecting, .handshaking:
            if now >= self.deadline {
                self.refuse(EgressRefusal(.timeout, "no connection within \(Limits.Egress.connectSeconds) s"))
            }
        }
    }

    /// The worker is gone, or the proxy is.
    func abort() { self.end(nil) }

    // MARK: the request

    private func readHead() {
        guard let client = self.client else { return }
        while self.stage == .head {
            switch client.read(into: self.up.room) {
            case .wait: return
            case .end, .failed: return self.close()
            case .bytes(let count):
                self.up.filled(count)
                let known = self.head.count
                self.head += self.up.bytes
                self.up.drained(count)
                self.understand(known: known)
            }
        }
    }

    private func understand(known: Int) {
        switch ProxyRequest.read(self.head[...], known: known) {
        case .incomplete: return
        case .refused(let refusal): self.refuse(refusal)
        case .request(let request, let length):
            do throws(EgressRefusal) {
                let passage = try self.lease.policy.decide(request)
                self.passage = passage
                if passage.head != nil { self.body = request.body }
                // What came behind the head: the start of the body, or of the tunnel.
                let rest = Array(self.head[length...])
                self.head = []
                try self.keep(rest, passage)
                self.find(passage.target)
            } catch {
                self.refuse(error)
            }
        }
    }

    private func keep(_ rest: [UInt8], _ passage: EgressPolicy.Passage) throws(EgressRefusal) {
        // The head may have grown by what was injected: what does not fit goes out as the first thing, in one piece.
        if let head = passage.head { self.head = head }
        guard var body = self.body else { return self.up.append(rest) }
        guard let count = rest.withUnsafeBytes({ body.take($0) }) else {
            throw EgressRefusal(.malformed, "the body is not framed as the head says", target: passage.target)
        }
        self.body = body
        self.up.append(rest[..<count])
    }

    // MARK: the connection

    private func find(_ target: NetworkTarget) {
        self.stage = .resolving
        self.deadline = self.proxy.now + .seconds(Limits.Egress.connectSeconds)
        self.client?.await(reading: false, writing: false)
        switch target.host {
        case .address(let address): self.found([address])
        case .name(let name): self.proxy.resolver.resolve(name) { [weak self] in self?.found($0) }
        }
    }

    /// From here on the name counts for nothing: what was checked is what is connected to.
    private func found(_ addresses: [IPAddress]) {
        guard self.stage == .resolving, let target = self.passage?.target else { return }
        guard !addresses.isEmpty else {
            return self.refuse(EgressRefusal(.unresolved, "\(target.host) has no address", target: target))
        }
        let open = addresses.filter { self.proxy.settings.admits($0, port: target.port) }
        guard !open.isEmpty else {
            self.address = addresses[0]
            return self.refuse(
                EgressRefusal(
                    .privateAddress,
                    "\(target.host) is \(addresses[0]), a \(addresses[0].kind.rawValue) address that the operator has not allowed",
                    target: target))
        }
        self.addresses = Array(open.prefix(Limits.Egress.attempts))
        self.connectNext()
    }

    private func connectNext() {
        guard let target = self.passage?.target else { return }
        self.stage = .connecting
        while !self.addresses.isEmpty {
            let address = self.addresses.removeFirst()
            self.address = address
            let descriptor = beginConnecting(to: address, port: target.port)
            guard descriptor >= 0 else {
                self.lastProblem = String(cString: strerror(-descriptor))
                continue
            }
            let server = SocketEnd(self.proxy.loop, descriptor) { [weak self] _ in self?.proceed() }
            guard let server else { continue }
            self.server = server
            return server.await(reading: false, writing: true)
        }
        self.refuse(EgressRefusal(.unreachable, "\(target) cannot be reached: \(self.lastProblem)", target: target))
    }

    private func connected() {
        guard let server = self.server, let passage = self.passage else { return }
        let error = connectionError(of: server.descriptor)
        guard error == 0 else {
            self.lastProblem = String(cString: strerror(error))
            server.close()
            self.server = nil
            return self.connectNext()
        }
        guard passage.isEncrypted else { return self.begin() }
        let isName = if case .name = passage.target.host { true } else { false }
        let name =
            if case .address(let address) = passage.target.host { "\(address)" } else { "\(passage.target.host)" }
        do throws(ApusError) {
            server.tls = try TLSClient(
                socket: server.descriptor, host: name, isName: isName, trust: self.proxy.trust)
        } catch { return self.refuse(EgressRefusal(.tlsFailed, error.message, target: passage.target)) }
        self.stage = .handshaking
        self.handshake()
    }

    private func handshake() {
        guard let server = self.server, let target = self.passage?.target else { return }
        switch server.handshake() {
        case .done: self.begin()
        case .wait(let forWriting): server.await(reading: !forWriting, writing: forWriting)
        case .failed(let message):
            self.refuse(EgressRefusal(.tlsFailed, "no TLS with \(target): \(message)", target: target))
        }
    }

    private func begin() {
        guard let passage = self.passage else { return }
        self.stage = .relaying
        self.idleSince = self.proxy.now
        if passage.head == nil {
            self.down.append("HTTP/1.1 200 Connection established\r\n\r\n".utf8)
        }
        self.report(.allowed)
        self.relay()
    }

    // MARK: relaying

    private func relay() {
        var rounds = 0
        while self.stage == .relaying, self.moveOnce() {
            rounds += 1
            guard rounds < Limits.Egress.roundsPerTurn else { break }
        }
        guard self.stage == .relaying, let client = self.client, let server = self.server else { return }
        self.finishWhatEnded()
        guard self.stage == .relaying else { return }
        client.await(reading: self.readsClient, writing: !self.down.isEmpty)
        server.await(
            reading: !self.isServerAtEnd && self.down.hasRoom, writing: !self.up.isEmpty || !self.head.isEmpty)
        // What waits inside of TLS, no event tells of.
        if rounds == Limits.Egress.roundsPerTurn || server.hasPending && self.down.hasRoom {
            self.proxy.later { [weak self] in self?.proceed() }
        }
    }

    private var readsClient: Bool { !self.isClientAtEnd && self.up.hasRoom && !(self.body?.isDone ?? false) }

    /// - Returns: whether anything moved.
    private func moveOnce() -> Bool {
        guard let client = self.client, let server = self.server else { return false }
        var hasMoved = false
        if self.readsClient {
            switch client.read(into: self.up.room) {
            case .bytes(let count): hasMoved = self.took(count) || hasMoved
            case .wait: break
            case .end: self.isClientAtEnd = true
            case .failed: self.end(nil)
            }
        }
        guard self.stage == .relaying else { return false }
        hasMoved = self.send(to: server) || hasMoved
        guard self.stage == .relaying else { return false }
        if !self.isServerAtEnd, self.down.hasRoom {
            switch server.read(into: self.down.room) {
            case .bytes(let count):
                self.down.filled(count)
                self.received += UInt64(count)
                hasMoved = self.count(count) || hasMoved
            case .wait: break
            case .end: self.isServerAtEnd = true
            case .failed: self.end(EgressRefusal(.unreachable, "the server cut the connection"))
            }
        }
        guard self.stage == .relaying, !self.down.isEmpty else { return hasMoved }
        switch client.write(self.down.bytes) {
        case .bytes(let count):
            self.down.drained(count)
            hasMoved = true
        case .wait: break
        case .end, .failed: self.end(nil)
        }
        return hasMoved
    }

    /// Of a request only the body goes on.
    private func took(_ count: Int) -> Bool {
        let fresh = UnsafeRawBufferPointer(rebasing: self.up.room.prefix(count))
        guard var body = self.body else {
            self.up.filled(count)
            return self.count(count)
        }
        guard let passing = body.take(fresh) else {
            self.end(EgressRefusal(.malformed, "the body is not framed as the head says"))
            return false
        }
        self.body = body
        self.up.filled(passing)
        return self.count(passing)
    }

    private func send(to server: SocketEnd) -> Bool {
        var hasMoved = false
        while !self.head.isEmpty {
            switch self.head.withUnsafeBytes({ server.write($0) }) {
            case .bytes(let count):
                self.head.removeFirst(count)
                self.sent += UInt64(count)
                hasMoved = true
            case .wait: return hasMoved
            case .end, .failed:
                self.end(EgressRefusal(.unreachable, "the server cut the connection"))
                return false
            }
        }
        guard !self.up.isEmpty else { return hasMoved }
        switch server.write(self.up.bytes) {
        case .bytes(let count):
            self.up.drained(count)
            self.sent += UInt64(count)
            return true
        case .wait: return hasMoved
        case .end, .failed:
            self.end(EgressRefusal(.unreachable, "the server cut the connection"))
            return false
        }
    }

    /// - Returns: true; ends the connection once too much has passed.
    private func count(_ bytes: Int) -> Bool {
        let now = self.proxy.now
        self.idleSince = now
        let total = self.sent + self.received + UInt64(self.up.bytes.count)
        if total > self.proxy.settings.connectionBytes {
            self.end(
                EgressRefusal(.limit, "the connection carried more than \(self.proxy.settings.connectionBytes) bytes"))
        } else if !self.lease.window.count(bytes, now: now) {
            self.end(EgressRefusal(.limit, "the worker moved more than \(self.lease.window.most) bytes within an hour"))
        } else if !self.proxy.window.count(bytes, now: now) {
            self.end(
                EgressRefusal(.limit, "all workers moved more than \(self.proxy.window.most) bytes within an hour"))
        }
        return true
    }

    private func finishWhatEnded() {
        if self.isClientAtEnd, self.up.isEmpty, self.head.isEmpty, !self.isServerFinished {
            // A body that never comes whole.
            if let body = self.body, !body.isDone { return self.end(nil) }
            self.isServerFinished = true
            if self.body == nil { self.server?.finish() }
        }
        guard self.isServerAtEnd, self.down.isEmpty, !self.isClientFinished else {
            if self.isClientFinished, self.isClientAtEnd { self.end(nil) }
            return
        }
        self.isClientFinished = true
        self.client?.finish()
        if self.isClientAtEnd { return self.end(nil) }
        guard self.body != nil else { return }
        // The whole answer is out. What the client still sends is thrown away until it has read it.
        self.report(.closed)
        self.server?.close()
        self.server = nil
        self.depart()
    }

    private func depart() {
        self.stage = .leaving
        self.deadline = self.proxy.now + .seconds(Limits.Egress.leaveSeconds)
        self.leave()
    }

    // MARK: the end

    /// Answers what is not passed on.
    private func refuse(_ refusal: EgressRefusal) {
        guard self.stage != .leaving, self.stage != .closed else { return }
        var refusal = refusal
        if refusal.target == nil { refusal.target = self.passage?.target }
        self.report(refusal.isDenial ? .refused : .failed, refusal)
        self.server?.close()
        self.server = nil
        let text = "\(refusal.message)\n"
        self.up.drained(self.up.bytes.count)
        self.down.drained(self.down.bytes.count)
        self.down.append(
            Array(
                """
                HTTP/1.1 \(refusal.status) \(refusal.reason.rawValue)\r
                Content-Type: text/plain; charset=utf-8\r
                Content-Length: \(text.utf8.count)\r
                Apus-Egress: \(refusal.reason.rawValue)\r
                Connection: close\r
                \r
                \(text)
                """.utf8))
        self.depart()
    }

    /// Until the client has read the answer: closed earlier, with bytes of its own unread, the kernel would take the answer back.
    private func leave() {
        guard let client = self.client else { return }
        while !self.down.isEmpty {
            switch client.write(self.down.bytes) {
            case .bytes(let count): self.down.drained(count)
            case .wait: return client.await(reading: false, writing: true)
            case .end, .failed: return self.close()
            }
        }
        if !self.isClientFinished {
            self.isClientFinished = true
            client.finish()
        }
        for _ in 0..<Limits.Egress.roundsPerTurn {
            switch client.read(into: self.up.room) {
            case .bytes: continue
            case .wait: return client.await(reading: true, writing: false)
            case .end, .failed: return self.close()
            }
        }
        client.await(reading: true, writing: false)
    }

    /// Ends what was allowed, and tells how much passed.
    private func end(_ refusal: EgressRefusal?) {
        guard self.stage != .closed else { return }
        if self.stage == .relaying { self.report(.closed, refusal) }
        self.close()
    }

    private func close() {
        guard self.stage != .closed else { return }
        self.stage = .closed
        self.client?.close()
        self.server?.close()
        self.client = nil
        self.server = nil
        self.proxy.ended(self, of: self.lease)
    }

    private func report(_ verdict: EgressRecord.Verdict, _ refusal: EgressRefusal? = nil) {
        let target = self.passage?.target ?? refusal?.target
        self.proxy.report(
            EgressRecord(
                lease: self.lease.id, verdict: verdict, target: target.map { "\($0)" } ?? "",
                address: self.address.map { "\($0)" } ?? "", reason: refusal?.reason, message: refusal?.message ?? "",
                injected: verdict == .allowed ? self.passage?.injected ?? [] : [], sent: self.sent,
                received: self.received), of: self.lease)
    }
}

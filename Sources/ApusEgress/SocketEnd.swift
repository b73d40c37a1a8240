internal import ApusCrypto
internal import ApusLoop
internal import Glibc

/// One side of a connection: a socket that does not block, in the clear or through TLS. Loop thread only.
final class SocketEnd {
    enum Transfer: Equatable {
        case bytes(Int)
        case wait
        case end
        case failed(String)
    }

    let descriptor: CInt
    var tls: TLSClient?
    private let watch: DescriptorWatch
    /// TLS wants to write before it can go on.
    private(set) var wantsWriting = false

    /// Takes the descriptor.
    init?(_ loop: EventLoop, _ descriptor: CInt, onEvents: @escaping (DescriptorWatch.Interest) -> Void) {
        guard let watch = DescriptorWatch(loop, descriptor: descriptor, onEvents: onEvents) else {
            Glibc.close(descriptor)
            return nil
        }
        self.descriptor = descriptor
        self.watch = watch
    }

    func close() {
        self.watch.close()
        self.tls = nil
        Glibc.close(self.descriptor)
    }

    func await(reading: Bool, writing: Bool) {
        var interest: DescriptorWatch.Interest = []
        if reading { interest.insert(.readable) }
        if writing || self.wantsWriting { interest.insert(.writable) }
        self.watch.watch(interest)
    }

    func handshake() -> TLSClient.Step {
        guard let tls = self.tls else { return .done }
        let step = tls.handshake()
        self.wantsWriting = step == .wait(forWriting: true)
        return step
    }

    /// Whether bytes wait that no event will tell of.
    var hasPending: Bool { self.tls?.hasPending ?? false }

    func read(into room: UnsafeMutableRawBufferPointer) -> Transfer {
        if let tls = self.tls { return self.translate(tls.read(into: room)) }
        while true {
            let count = recv(self.descriptor, room.baseAddress, room.count, 0)
            if count > 0 { return .bytes(count) }
            if count == 0 { return .end }
            if errno == EINTR { continue }
            return errno == EAGAIN ? .wait : .failed(String(cString: strerror(errno)))
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer) -> Transfer {
        if let tls = self.tls { return self.translate(tls.write(bytes)) }
        while true {
            let count = send(self.descriptor, bytes.baseAddress, bytes.count, CInt(MSG_NOSIGNAL))
            if count >= 0 { return .bytes(count) }
            if errno == EINTR { continue }
            return errno == EAGAIN ? .wait : .failed(String(cString: strerror(errno)))
        }
    }

    private func translate(_ transfer: TLSClient.Transfer) -> Transfer {
        switch transfer {
        case .bytes(let count):
            self.wantsWriting = false
            return .bytes(count)
        case .wait(let forWriting):
            self.wantsWriting = forWriting
            return .wait
        case .end: return .end
        case .failed(let message): return .failed(message)
        }
    }

    /// Nothing more comes from here.
    func finish() {
        self.tls?.finish()
        shutdown(self.descriptor, CInt(SHUT_WR))
    }
}

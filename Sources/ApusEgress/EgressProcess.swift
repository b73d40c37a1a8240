internal import ApusCore
internal import ApusCrypto
internal import ApusLoop
internal import CShims
internal import Glibc

/// The egress process: unprivileged, in a sandbox of its own that has the host's network and no files but what resolving names and
/// checking certificates takes. It takes orders from the server on one socket, and ends with it.
public enum EgressProcess {
    /// The socket to the server, which every sandboxed process has there.
    static let channel: CInt = 5
    static let authorities = "/etc/ssl/certs/ca-certificates.crt"

    public static func run() -> Never {
        signal(SIGPIPE, SIG_IGN)
        let loop = EventLoop()
        let failed = ResultSlot<Bool>()
        loop.post {
            let server = EgressChannel(loop)
            if !server.start() { failed.fill(true) }
            // It lives as long as the process.
            _ = Unmanaged.passRetained(server)
        }
        _ = failed.take()
        _exit(1)
    }
}

/// Carries out the server's orders. Loop thread only.
final class EgressChannel {
    private let loop: EventLoop
    private var proxy: EgressProxy?
    private var watch: DescriptorWatch?
    private var bytes = [UInt8](repeating: 0, count: Limits.Egress.packetBytes)

    init(_ loop: EventLoop) { self.loop = loop }

    func start() -> Bool {
        self.watch = DescriptorWatch(self.loop, descriptor: EgressProcess.channel) { [unowned self] _ in self.receive()
        }
        self.watch?.watch(.readable)
        return self.watch != nil
    }

    private func receive() {
        for _ in 0..<Limits.Egress.packetsPerTurn {
            var descriptors = [CInt](repeating: -1, count: 64)
            var count: CInt = 0
            let length = apus_hand_over_receive(
                EgressProcess.channel, &self.bytes, self.bytes.count, &descriptors, &count, 0)
            if length == -Int(ETIMEDOUT) || length == -Int(EAGAIN) || length == -Int(EINTR) { return }
            // Without its server it has nothing to do.
            guard length > 0, let order = EgressOrder(Array(self.bytes[..<length])) else { _exit(length == 0 ? 0 : 2) }
            self.take(order, Array(descriptors[..<Int(count)]))
        }
    }

    private func take(_ order: EgressOrder, _ descriptors: [CInt]) {
        switch order {
        case .start(let settings):
            guard self.proxy == nil, descriptors.count <= 1 else { _exit(2) }
            let more = descriptors.first.map { Self.contents(of: $0) } ?? []
            do throws(ApusError) {
                let trust = try TLSTrust(file: EgressProcess.authorities, more: more)
                self.proxy = EgressProxy(
                    self.loop, resolver: SystemResolver(self.loop), trust: trust, settings: settings,
                    sink: Self.send)
            } catch {
                print("egress: \(error.message)")
                _exit(3)
            }
        case .open(let lease, let access):
            guard let proxy = self.proxy, (1...2).contains(descriptors.count) else { _exit(2) }
            let values = descriptors.count == 2 ? InjectedValues.decoded(Self.contents(of: descriptors[1])) : []
            guard let values, proxy.open(lease, access, values: values, listener: descriptors[0]) else {
                print("egress: worker \(lease) cannot be given its way out")
                return
            }
        case .close(let lease): self.proxy?.close(lease)
        }
    }

    private static func send(_ record: EgressRecord) -> Bool {
        let bytes = record.encoded()
        return apus_hand_over_send(EgressProcess.channel, bytes, bytes.count, nil, 0) == 0
    }

    /// Reads a sealed memory file whole and closes it.
    private static func contents(of descriptor: CInt) -> [UInt8] {
        defer { close(descriptor) }
        var about = stat()
        guard fstat(descriptor, &about) == 0, about.st_size > 0, about.st_size <= 8 << 20 else { return [] }
        var bytes = [UInt8](repeating: 0, count: Int(about.st_size))
        let count = pread(descriptor, &bytes, bytes.count, 0)
        return count == bytes.count ? bytes : []
    }
}

internal import ApusCore
internal import ApusHost
internal import Glibc
internal import Synchronization

/// A way to one host for the server itself: through the egress process, which looks names up, refuses addresses that are not open to
/// everyone, and bounds what passes, as for workers.
final class EgressRoute: Sendable {
    /// Above those of every shard.
    private static let base: UInt64 = 0xFFFF << 48
    private static let last = Atomic<UInt64>(0)

    private let egress: any EgressDirecting
    private let ticket: LaunchTicket
    /// For clients, as a proxy.
    let url: String

    /// - Throws: `weights_unavailable` where no socket can be made.
    init(_ egress: any EgressDirecting, to rule: NetworkRule) throws(ApusError) {
        let listener = socket(AF_INET, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                listener >= 0 && bind(listener, $0, length) == 0 && listen(listener, 16) == 0
                    && getsockname(listener, $0, &length) == 0
            }
        }
        guard isListening else {
            let reason = String(cString: strerror(errno))
            if listener >= 0 { close(listener) }
            throw ApusError(.weightsUnavailable, "no way out can be made: \(reason)")
        }
        self.url = "http://127.0.0.1:\(UInt16(bigEndian: address.sin_port))"
        self.egress = egress
        self.ticket = LaunchTicket(
            rawValue: Self.base | Self.last.add(1, ordering: .relaxed).newValue & 0xFFFF_FFFF_FFFF)
        // It has the socket from here on.
        egress.open(self.ticket, NetworkAccess(allow: [rule]), listener: listener, values: -1)
    }

    deinit { self.egress.close(self.ticket) }
}

internal import ApusCore
internal import ApusHost
internal import Glibc
internal import Synchronization

/// A way to one host for the server itself: through the egress process, which looks names up, refuses addresses that are not open to
/// everyone, and bounds what passes, as for workers.
///
/// It is a Unix socket that only the server's own user may connect to: a port would be everyone's on this machine.
final class EgressRoute: Sendable {
    /// Above those of every shard.
    private static let base: UInt64 = 0xFFFF << 48
    private static let last = Atomic<UInt64>(0)

    private let egress: any EgressDirecting
    private let ticket: LaunchTicket
    private let name: String
    private let folder: CInt
    /// Of the socket, for clients as a proxy. By the folder's descriptor, since a socket's path must be short.
    var path: String { "/proc/self/fd/\(self.folder)/\(self.name)" }

    /// - Parameter folder: where the socket is while the way is open.
    /// - Throws: `weights_unavailable` where no socket can be made.
    init(_ egress: any EgressDirecting, to rule: NetworkRule, in folder: String) throws(ApusError) {
        let number = Self.last.add(1, ordering: .relaxed).newValue & 0xFFFF_FFFF_FFFF
        self.name = ".route-\(number)"
        self.egress = egress
        self.ticket = LaunchTicket(rawValue: Self.base | number)
        self.folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard self.folder >= 0 else { throw Self.failure() }
        // One that a server that was killed left here.
        unlinkat(self.folder, self.name, 0)
        guard let listener = Self.listen("/proc/self/fd/\(self.folder)/\(self.name)") else {
            let error = Self.failure()
            close(self.folder)
            throw error
        }
        // It has the socket from here on.
        egress.open(self.ticket, NetworkAccess(allow: [rule]), listener: listener, values: -1)
    }

    deinit {
        self.egress.close(self.ticket)
        unlinkat(self.folder, self.name, 0)
        close(self.folder)
    }

    /// Nobody can connect before it listens, and then its mode counts.
    private static func listen(_ path: String) -> CInt? {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let listener = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard listener >= 0 else { return nil }
        let isBound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        guard isBound, chmod(path, 0o600) == 0, Glibc.listen(listener, 16) == 0 else {
            let reason = errno
            close(listener)
            errno = reason
            return nil
        }
        return listener
    }

    private static func failure() -> ApusError {
        ApusError(.weightsUnavailable, "no way out can be made: \(String(cString: strerror(errno)))")
    }
}

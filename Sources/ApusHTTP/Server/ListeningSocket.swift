public import ApusCore
public import ApusLoop
internal import Glibc

/// Makes the sockets that listeners serve: opened early, while the process may still use low ports.
public enum ListeningSocket {
    /// Opens a TCP socket that listens on `address`.
    /// - Parameters:
    ///   - address: a numeric IPv4 or IPv6 address, or `localhost`.
    ///   - port: 0 takes a free one; ``port(of:)`` tells which.
    ///   - reusePort: several sockets of this process share the port, one per loop.
    ///   - joins: another socket of this process has the port already. Without it the port must be free: sharing would let a second
    ///     server bind too and take half of the connections unnoticed.
    /// - Throws: `port_in_use`, `address_not_allowed` or `invalid_argument`.
    public static func open(
        address: String = "127.0.0.1", port: UInt16, reusePort: Bool = false, joins: Bool = false
    ) throws(ApusError) -> OwnedDescriptor {
        if reusePort, !joins, port != 0 {
            // Closed at once: it only has to find the port free.
            let probe = try Self.bound(address: address, port: port, reusePort: false)
            _ = probe.rawValue
        }
        let socket = try Self.bound(address: address, port: port, reusePort: reusePort)
        guard Glibc.listen(socket.rawValue, Limits.HTTP.backlog) == 0 else { throw Self.failure(address, port, errno) }
        return socket
    }

    /// The port a socket is bound to.
    public static func port(of socket: borrowing OwnedDescriptor) -> UInt16 {
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let status = withUnsafeMutablePointer(to: &storage) { storage in
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(socket.rawValue, $0, &size) }
        }
        guard status == 0 else { return 0 }
        // The port lies at the same place in both families' addresses.
        return withUnsafeBytes(of: &storage) { UInt16(bigEndian: $0.loadUnaligned(fromByteOffset: 2, as: UInt16.self)) }
    }

    /// Whether only this machine can reach an address.
    public static func isLoopback(_ address: String) -> Bool {
        switch Self.parse(address) {
        case .v4(let address): UInt32(bigEndian: address.s_addr) >> 24 == 127
        case .v6(let address): withUnsafeBytes(of: address) { $0.dropLast().allSatisfy { $0 == 0 } && $0.last == 1 }
        case nil: false
        }
    }

    private enum Address {
        case v4(in_addr)
        case v6(in6_addr)
    }

    private static func parse(_ text: String) -> Address? {
        let text = text == "localhost" ? "127.0.0.1" : text
        var v4 = in_addr()
        if inet_pton(AF_INET, text, &v4) == 1 { return .v4(v4) }
        var v6 = in6_addr()
        if inet_pton(AF_INET6, text, &v6) == 1 { return .v6(v6) }
        return nil
    }

    private static func bound(address: String, port: UInt16, reusePort: Bool) throws(ApusError) -> OwnedDescriptor {
        guard let parsed = Self.parse(address) else {
            throw ApusError(
                .invalidArgument, "'\(address)' is not an address to listen on: give an IPv4 or IPv6 address in numbers"
            )
        }
        let family = if case .v4 = parsed { AF_INET } else { AF_INET6 }
        let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(family, type, 0)
        guard descriptor >= 0 else { throw Self.failure(address, port, errno) }
        let socket = OwnedDescriptor(adopting: descriptor)
        Self.enable(SO_REUSEADDR, on: descriptor)
        if reusePort { Self.enable(SO_REUSEPORT, on: descriptor) }
        let status: CInt
        switch parsed {
        case .v4(let host):
            var name = sockaddr_in()
            name.sin_family = sa_family_t(AF_INET)
            name.sin_port = port.bigEndian
            name.sin_addr = host
            status = Self.bind(descriptor, &name)
        case .v6(let host):
            var name = sockaddr_in6()
            name.sin6_family = sa_family_t(AF_INET6)
            name.sin6_port = port.bigEndian
            name.sin6_addr = host
            status = Self.bind(descriptor, &name)
        }
        guard status == 0 else { throw Self.failure(address, port, errno) }
        return socket
    }

    private static func bind<Name>(_ descriptor: CInt, _ name: inout Name) -> CInt {
        let size = socklen_t(MemoryLayout<Name>.size)
        return withUnsafePointer(to: &name) { name in
            name.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.bind(descriptor, $0, size) }
        }
    }

    private static func enable(_ option: CInt, on descriptor: CInt) {
        var one: CInt = 1
        setsockopt(descriptor, SOL_SOCKET, option, &one, socklen_t(MemoryLayout<CInt>.size))
    }

    private static func failure(_ address: String, _ port: UInt16, _ error: CInt) -> ApusError {
        let reason = String(cString: strerror(error))
        if error == EADDRINUSE {
            return ApusError(
                .portInUse,
                "port \(port) on \(address) is in use: stop what listens there or choose another with --listen")
        }
        return ApusError(.addressNotAllowed, "cannot listen on \(address), port \(port): \(reason)")
    }
}

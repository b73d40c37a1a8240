import Glibc

/// A socket of the host that accepts whoever reaches it.
struct Listener: ~Copyable {
    let descriptor: CInt
    let port: UInt16

    init(family: CInt) {
        self.descriptor = socket(family, CInt(SOCK_STREAM.rawValue), 0)
        precondition(self.descriptor >= 0)
        var four = sockaddr_in()
        four.sin_family = sa_family_t(AF_INET)
        four.sin_addr.s_addr = UInt32(INADDR_LOOPBACK).bigEndian
        var six = sockaddr_in6()
        six.sin6_family = sa_family_t(AF_INET6)
        six.sin6_addr = in6addr_loopback
        let size = family == AF_INET ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size
        var length = socklen_t(size)
        let result =
            family == AF_INET
            ? Listener.bindTo(self.descriptor, &four, length) : Listener.bindTo(self.descriptor, &six, length)
        precondition(result == 0 && listen(self.descriptor, 16) == 0, "no listener: errno \(errno)")
        let listening = self.descriptor
        let isNamed = withUnsafeMutablePointer(to: &six) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(listening, $0, &length) } == 0
        }
        precondition(isNamed)
        self.port = UInt16(bigEndian: six.sin6_port)
    }

    /// An abstract unix socket of that name.
    init(abstract name: String) {
        self.descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
        self.port = 0
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { path in
            for (index, byte) in name.utf8.enumerated() { path[index + 1] = byte }
        }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + 1 + name.utf8.count)
        precondition(Listener.bindTo(self.descriptor, &address, length) == 0 && listen(self.descriptor, 16) == 0)
    }

    private static func bindTo<Address>(_ descriptor: CInt, _ address: inout Address, _ length: socklen_t) -> CInt {
        withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
        }
    }

    deinit { close(self.descriptor) }
}

public import ApusCore
public import ApusLoop
internal import Glibc

/// Turns names into addresses. A protocol so that tests can answer what a hostile name server would.
public protocol NameResolving: AnyObject {
    /// - Parameter completion: called once, on the loop, with no address where there is none.
    func resolve(_ name: String, _ completion: @escaping ([IPAddress]) -> Void)
}

/// Asks the host's resolver (`/etc/hosts`, DNS) on a few threads of its own, since it blocks. Loop thread only.
public final class SystemResolver: NameResolving {
    private let loop: EventLoop
    private let threads: [WorkThread]
    private var next = 0
    private var waiting: [UInt64: ([IPAddress]) -> Void] = [:]
    private var ticket: UInt64 = 0
    // SAFETY: touched on the loop only; it crosses the threads to come back by `loop.post`.
    private struct Return: @unchecked Sendable { weak var resolver: SystemResolver? }

    public init(_ loop: EventLoop) {
        self.loop = loop
        self.threads = (0..<Limits.Egress.resolverThreads).map { _ in WorkThread(queueMax: Limits.Egress.resolverQueue)
        }
    }

    public func resolve(_ name: String, _ completion: @escaping ([IPAddress]) -> Void) {
        self.ticket += 1
        let (ticket, loop, back) = (self.ticket, self.loop, Return(resolver: self))
        self.waiting[ticket] = completion
        self.next = (self.next + 1) % self.threads.count
        let isQueued = self.threads[self.next].run {
            let addresses = SystemResolver.lookUp(name)
            loop.post { back.resolver?.answered(ticket, addresses) }
        }
        if !isQueued { loop.post { back.resolver?.answered(ticket, []) } }
    }

    private func answered(_ ticket: UInt64, _ addresses: [IPAddress]) {
        self.waiting.removeValue(forKey: ticket)?(addresses)
    }

    private static func lookUp(_ name: String) -> [IPAddress] {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(name, nil, &hints, &list) == 0 else { return [] }
        defer { freeaddrinfo(list) }
        var addresses: [IPAddress] = []
        var entry = list
        while let current = entry, addresses.count < Limits.Egress.addresses {
            entry = current.pointee.ai_next
            guard let address = IPAddress(current.pointee), !addresses.contains(address) else { continue }
            addresses.append(address)
        }
        return addresses
    }
}

extension IPAddress {
    fileprivate init?(_ info: addrinfo) {
        guard let name = info.ai_addr else { return nil }
        switch info.ai_family {
        case AF_INET:
            let bytes = UnsafeRawPointer(name).loadUnaligned(as: sockaddr_in.self).sin_addr
            self.init(bytes: withUnsafeBytes(of: bytes) { Array($0) })
        case AF_INET6:
            let full = UnsafeRawPointer(name).loadUnaligned(as: sockaddr_in6.self)
            // With a scope it is an address of this machine's links.
            guard full.sin6_scope_id == 0 else { return nil }
            self.init(bytes: withUnsafeBytes(of: full.sin6_addr) { Array($0) })
        default: return nil
        }
    }
}

/// A socket that is being connected to exactly this address, or -errno.
func beginConnecting(to address: IPAddress, port: UInt16) -> CInt {
    let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
    let descriptor = socket(address.isV4 ? AF_INET : AF_INET6, type, 0)
    guard descriptor >= 0 else { return -errno }
    var on: CInt = 1
    setsockopt(descriptor, CInt(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<CInt>.size))
    let result: CInt
    if address.isV4 {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        withUnsafeMutableBytes(of: &name.sin_addr) { $0.copyBytes(from: address.bytes) }
        result = connect(descriptor, &name)
    } else {
        var name = sockaddr_in6()
        name.sin6_family = sa_family_t(AF_INET6)
        name.sin6_port = port.bigEndian
        withUnsafeMutableBytes(of: &name.sin6_addr) { $0.copyBytes(from: address.bytes) }
        result = connect(descriptor, &name)
    }
    guard result == 0 || errno == EINPROGRESS else {
        let error = errno
        close(descriptor)
        return -error
    }
    return descriptor
}

private func connect<Name>(_ descriptor: CInt, _ name: inout Name) -> CInt {
    withUnsafeMutablePointer(to: &name) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<Name>.size))
        }
    }
}

/// The error of a socket whose connection was under way, 0 for none.
func connectionError(of descriptor: CInt) -> CInt {
    var error: CInt = 0
    var size = socklen_t(MemoryLayout<CInt>.size)
    return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno
}

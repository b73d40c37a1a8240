import ApusCore
import ApusCrypto
import ApusLoop
import ApusTestSupport
import Glibc
import Synchronization

@testable import ApusEgress

/// A proxy in this process with one worker, whose listening socket is an ordinary one, and name servers that answer what a test says.
final class ProxyBed: Sendable {
    /// Answers by name, each question with the next answer; the last one stays.
    final class Names: NameResolving, Sendable {
        private let answers: Mutex<[String: [[String]]]>
        let questions = Mutex<[String]>([])

        init(_ answers: [String: [[String]]]) { self.answers = Mutex(answers) }

        func resolve(_ name: String, _ completion: @escaping ([IPAddress]) -> Void) {
            self.questions.withLock { $0.append(name) }
            let answer = self.answers.withLock { answers -> [String] in
                guard var list = answers[name], let first = list.first else { return [] }
                if list.count > 1 { list.removeFirst() }
                answers[name] = list
                return first
            }
            completion(answer.compactMap { IPAddress($0) })
        }
    }

    let loop = EventLoop()
    let names: Names
    let port: UInt16
    let records = Mutex<[EgressRecord]>([])
    private let ahead = Mutex(TimeSpan.zero)
    // SAFETY: made, used and ended on the loop.
    nonisolated(unsafe) private var proxy: EgressProxy?

    init(
        _ access: NetworkAccess, names: [String: [[String]]] = [:], values: [[UInt8]] = [],
        settings: EgressSettings = EgressSettings()
    ) throws {
        self.names = Names(names)
        let (listener, port) = try Self.listen()
        self.port = port
        let trust = try TLSTrust(file: "")
        // SAFETY: passed to the loop, which alone has it from there on.
        nonisolated(unsafe) let given = trust
        let isOpen = self.loop.runAndWait {
            let clock = EgressProxy.systemClock()
            let proxy = EgressProxy(
                self.loop, resolver: self.names, trust: given, settings: settings,
                clock: { clock() + self.ahead.withLock { $0 } },
                sink: { record in
                    self.records.withLock { $0.append(record) }
                    return true
                })
            self.proxy = proxy
            return proxy.open(1, access, values: values, listener: listener)
        }
        precondition(isOpen, "the worker has its way out")
    }

    func end() {
        self.loop.runAndWait {
            self.proxy?.stop()
            self.proxy = nil
        }
        self.loop.stop()
    }

    var connections: Int { self.loop.runAndWait { self.proxy?.connections ?? -1 } }
    func closeWorker() { self.loop.runAndWait { self.proxy?.close(1) } }
    /// Lets time pass.
    func pass(_ time: TimeSpan) {
        self.ahead.withLock { $0 = TimeSpan(microseconds: $0.microseconds + time.microseconds) }
    }
    func verdicts() -> [EgressRecord.Verdict] { self.records.withLock { $0.map(\.verdict) } }
    func reasons() -> [EgressRefusal.Reason?] { self.records.withLock { $0.map(\.reason) } }

    static func listen() throws -> (CInt, UInt16) {
        let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_NONBLOCK.rawValue), 0)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(descriptor, pointer, size) == 0 && Glibc.listen(descriptor, 128) == 0
                    && getsockname(descriptor, pointer, &size) == 0
            }
        }
        guard result else { throw ApusError(.internal, "no listening socket") }
        return (descriptor, UInt16(bigEndian: name.sin_port))
    }
}

/// A plain client that blocks, for a few seconds at most.
final class Caller {
    let descriptor: CInt

    init(_ port: UInt16) throws {
        self.descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(self.descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(self.descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(self.descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw ApusError(.internal, "cannot connect to \(port)") }
    }

    deinit { close(self.descriptor) }

    @discardableResult
    func send(_ text: String) -> Int { self.send(Array(text.utf8)) }

    @discardableResult
    func send(_ bytes: [UInt8]) -> Int { Glibc.send(self.descriptor, bytes, bytes.count, CInt(MSG_NOSIGNAL)) }

    func finish() { shutdown(self.descriptor, CInt(SHUT_WR)) }

    /// Up to so many bytes, fewer at the end.
    func read(_ count: Int) -> String {
        var all: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4_096)
        while all.count < count {
            let length = recv(self.descriptor, &chunk, min(chunk.count, count - all.count), 0)
            guard length > 0 else { break }
            all += chunk[..<length]
        }
        return String(decoding: all, as: UTF8.self)
    }

    func readToEnd() -> String { self.read(1 << 24) }
}

/// A server that takes one connection after the other on a thread of its own, answers each with the same bytes, and keeps what came.
final class Peer: Sendable {
    let port: UInt16
    let received = Mutex<[[UInt8]]>([])
    private let listener: CInt
    private let thread = WorkThread()

    /// - Parameter isEcho: sends back what comes until the other side ends; otherwise answers once, and waits for the end.
    init(answer: String = "", isEcho: Bool = false) throws {
        (self.listener, self.port) = try ProxyBed.listen()
        _ = fcntl(self.listener, F_SETFL, 0)
        let listener = self.listener
        self.thread.run { [weak self] in
            while true {
                let client = accept(listener, nil, nil)
                guard client >= 0 else { return }
                self?.serve(client, answer, isEcho)
                close(client)
            }
        }
    }

    private func serve(_ client: CInt, _ answer: String, _ isEcho: Bool) {
        let place = self.received.withLock { all in
            all.append([])
            return all.count - 1
        }
        var limit = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(client, &chunk, chunk.count, 0)
            guard count > 0 else { return }
            self.received.withLock { $0[place] += chunk[..<count] }
            if isEcho {
                _ = Glibc.send(client, chunk, count, CInt(MSG_NOSIGNAL))
            } else if !answer.isEmpty {
                let bytes = Array(answer.utf8)
                _ = Glibc.send(client, bytes, bytes.count, CInt(MSG_NOSIGNAL))
                shutdown(client, CInt(SHUT_WR))
            }
        }
    }

    var texts: [String] { self.received.withLock { $0.map { String(decoding: $0, as: UTF8.self) } } }

    func end() {
        shutdown(self.listener, CInt(SHUT_RDWR))
        close(self.listener)
        self.thread.stop()
    }
}

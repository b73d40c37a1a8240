import ApusCore
import ApusHost
import ApusLoop
import ApusTestSupport
import Glibc
import Synchronization
import Testing

@testable import ApusServer
@testable import ApusStore

/// The server's own way out, while it fetches weights.
@Suite struct EgressRouteTests {
    /// Answers the first request on the socket that it is given, as the egress process would.
    private final class Egress: EgressDirecting {
        struct Seen: Sendable {
            var domain: CInt = -1
            var mode: mode_t = 0
            var request = ""
            var closed = 0
        }

        let seen = Mutex(Seen())
        private let thread = WorkThread()
        private let body: String

        init(body: String) { self.body = body }

        func stop() { self.thread.stop() }

        func open(_ worker: LaunchTicket, _ access: NetworkAccess, listener: CInt, values: CInt) {
            var domain: CInt = 0
            var length = socklen_t(MemoryLayout<CInt>.size)
            getsockopt(listener, SOL_SOCKET, SO_DOMAIN, &domain, &length)
            let mode = Self.mode(of: listener)
            self.seen.withLock { ($0.domain, $0.mode) = (domain, mode) }
            self.thread.run { self.serve(listener) }
        }

        func close(_ worker: LaunchTicket) { self.seen.withLock { $0.closed += 1 } }

        private static func mode(of listener: CInt) -> mode_t {
            var address = sockaddr_un()
            var length = socklen_t(MemoryLayout<sockaddr_un>.size)
            let isNamed = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(listener, $0, &length) == 0 }
            }
            let path = withUnsafeBytes(of: &address.sun_path) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            var about = stat()
            return isNamed && stat(path, &about) == 0 ? about.st_mode & 0o777 : 0o777
        }

        private func serve(_ listener: CInt) {
            var waiting = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
            guard poll(&waiting, 1, 30_000) == 1 else { return }
            let connection = accept(listener, nil, nil)
            defer {
                _ = Glibc.close(connection)
                _ = Glibc.close(listener)
            }
            var request: [UInt8] = []
            var chunk = [UInt8](repeating: 0, count: 4_096)
            while !String(decoding: request, as: UTF8.self).contains("\r\n\r\n") {
                let count = read(connection, &chunk, chunk.count)
                guard count > 0 else { break }
                request += chunk[..<count]
            }
            let text = String(decoding: request, as: UTF8.self)
            self.seen.withLock { $0.request = text }
            let answer = Array("HTTP/1.1 200 OK\r\nContent-Length: \(self.body.utf8.count)\r\n\r\n\(self.body)".utf8)
            _ = write(connection, answer, answer.count)
        }
    }

    private static func routes(in folder: String) throws -> [String] {
        try FileTree.names(in: folder).filter { $0.hasPrefix(".route-") }
    }

    /// What comes through it is the file, and nobody but the server's own user could have come through it meanwhile.
    @Test func aFetchGoesThroughASocketOfTheServersUserAlone() throws {
        let scratch = ScratchDirectory("route")
        let folder = WeightFolder(dataDirectory: scratch.path)
        let egress = Egress(body: "the weights")
        defer { egress.stop() }
        let hash = String(repeating: "a", count: 64)
        let (descriptor, _) = try folder.openPartial(hash)
        defer { _ = close(descriptor) }
        let download = WeightDownload(
            folder: folder, egress: egress, hash: hash, bytesMax: 1_000, isStopping: { false }, onProgress: { _, _ in })
        try download.run("http://models.example/minilm", into: descriptor)
        let seen = egress.seen.withLock { $0 }
        #expect(seen.domain == AF_UNIX && seen.mode == 0o600, "domain \(seen.domain), mode \(seen.mode)")
        #expect(seen.request.hasPrefix("GET http://models.example/minilm HTTP/1.1\r\n"), "\(seen.request)")
        #expect(folder.fetched(hash) == 11)
        #expect(seen.closed == 1)
        #expect(try Self.routes(in: folder.folder).isEmpty)
    }

    /// What a server that was killed left lying is no hindrance, and a folder that is not there is told.
    @Test func aWayIsMadeWhereAnOldOneLiesAndRefusedWhereNoneCanBe() throws {
        let scratch = ScratchDirectory("route")
        let egress = Egress(body: "")
        defer { egress.stop() }
        let rule = try NetworkRule("models.example:80")
        do {
            let one = try EgressRoute(egress, to: rule, in: scratch.path)
            #expect(try Self.routes(in: scratch.path).count == 1 && one.path.hasPrefix("/proc/self/fd/"))
        }
        for number in 1...64 {
            let path = "\(scratch.path)/.route-\(number)"
            let file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
            _ = close(file)
        }
        let other = try EgressRoute(egress, to: rule, in: scratch.path)
        #expect(!other.path.isEmpty)
        #expect(throws: ApusError.self) { try EgressRoute(egress, to: rule, in: "\(scratch.path)/none") }
    }
}

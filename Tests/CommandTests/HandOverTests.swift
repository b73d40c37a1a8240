import ApusCore
import ApusHTTP
import ApusJSON
import ApusLoop
import ApusServer
import ApusTelemetry
import ApusTestSupport
import CShims
import Glibc
import Synchronization
import Testing

@testable import apus

@Suite struct HandOverTests {
    /// A running server's side over a folder of its own, and one listening socket.
    private final class Bed {
        let fixture = CommandFixture()
        let handOver: HandOver
        let port: UInt16
        private let socket: CInt

        init() throws {
            let socket = try ListeningSocket.open(port: 0)
            self.port = ListeningSocket.port(of: socket)
            self.socket = socket.release()
            mkdir("\(self.fixture.folder)/run", 0o700)
            let null = open("/dev/null", O_WRONLY | O_CLOEXEC)
            self.handOver = try HandOver(
                folder: self.fixture.folder, sockets: [self.socket],
                offer: HandOverMessage.Offer(
                    release: "1", process: 1, address: "127.0.0.1", port: Int64(self.port), shards: 1, logFormat: 1),
                journal: Log(descriptor: null))
        }

        deinit { close(self.socket) }

        func connect() throws -> HandOverLine {
            let run = open("\(self.fixture.folder)/run", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            defer { close(run) }
            let descriptor = apus_hand_over_connect(run, HandOverMessage.socketName)
            try #require(descriptor >= 0)
            return HandOverLine(adopting: descriptor)
        }

        /// Lets the server look, then reads what it said.
        func answer(on line: HandOverLine) throws -> HandOverMessage? {
            _ = self.handOver.advance()
            guard let packet = try line.receive(milliseconds: 1_000) else { return nil }
            for descriptor in packet.descriptors { close(descriptor) }
            return packet.message
        }
    }

    /// The mask is the whole process's: files that others make meanwhile would get other rights than they asked for.
    @Test func listeningOpensToTheOwnerOnlyAndLeavesTheFileModeMaskAlone() throws {
        func mask() throws -> Substring? {
            String(decoding: try readFile("/proc/self/status"), as: UTF8.self).split(separator: "\n")
                .first { $0.hasPrefix("Umask:") }
        }
        let fixture = CommandFixture()
        let (folder, before) = (open(fixture.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), try mask())
        defer { close(folder) }
        let isDone = Atomic(false)
        let failures = Atomic(0)
        let thread = WorkThread()
        thread.run {
            for _ in 0..<2_000 {
                let listener = apus_hand_over_listen(folder, HandOverMessage.socketName)
                var about = stat()
                let isSeen = fstatat(folder, HandOverMessage.socketName, &about, AT_SYMLINK_NOFOLLOW) == 0
                if listener < 0 || !isSeen || about.st_mode & 0o777 != 0o600 {
                    failures.add(1, ordering: .relaxed)
                }
                if listener >= 0 { close(listener) }
            }
            isDone.store(true, ordering: .releasing)
        }
        var masks: Set<Substring?> = []
        repeat { masks.insert(try mask()) } while !isDone.load(ordering: .acquiring)
        thread.stop()
        #expect(masks == [before])
        #expect(failures.load(ordering: .relaxed) == 0)
    }

    @Test func messagesSurviveTheirWay() throws {
        let offer = HandOverMessage.Offer(
            release: "2", process: 7, address: "::1", port: 80, shards: 3, logFormat: 9)
        for message in [HandOverMessage.hello, .offer(offer), .take, .released, .serving, .refused("why")] {
            #expect(try HandOverMessage(message.json) == message)
        }
        #expect(throws: ApusError.self) { try HandOverMessage(["say": "what"]) }
        #expect(throws: ApusError.self) { try HandOverMessage(["say": "hello", "version": 99]) }
    }

    @Test func whoAsksGetsTheListeningSocketsAndTakesOver() throws {
        let bed = try Bed()
        let line = try bed.connect()
        try line.send(.hello)
        #expect(!bed.handOver.advance())
        let packet = try #require(try line.receive(milliseconds: 1_000))
        guard case .offer = packet.message else {
            Issue.record("\(packet.message)")
            return
        }
        #expect(packet.descriptors.count == 1 && packet.descriptors.allSatisfy { apus_is_listening($0) == 1 })
        for descriptor in packet.descriptors { close(descriptor) }
        try line.send(.take)
        #expect(bed.handOver.advance())
        try line.send(.serving)
        try bed.handOver.released()
        #expect(try line.receive(milliseconds: 1_000)?.message == .released)
    }

    @Test func aSuccessorThatLeavesChangesNothing() throws {
        let bed = try Bed()
        do {
            let line = try bed.connect()
            try line.send(.hello)
            #expect(try bed.answer(on: line) != nil)
        }
        #expect(!bed.handOver.advance())
        let next = try bed.connect()
        try next.send(.hello)
        guard case .offer? = try bed.answer(on: next) else {
            Issue.record("no offer")
            return
        }
    }

    @Test func aSecondSuccessorIsRefusedWhileTheFirstPrepares() throws {
        let bed = try Bed()
        let first = try bed.connect()
        try first.send(.hello)
        #expect(try bed.answer(on: first) != nil)
        let second = try bed.connect()
        try second.send(.hello)
        guard case .refused(let reason)? = try bed.answer(on: second) else {
            Issue.record("not refused")
            return
        }
        #expect(reason.contains("another upgrade is under way"))
        try first.send(.take)
        #expect(bed.handOver.advance())
    }

    @Test func nonsenseIsNoUpgrade() throws {
        let bed = try Bed()
        let line = try bed.connect()
        try line.send(.take)
        #expect(try bed.answer(on: line) == nil)
        let other = try bed.connect()
        try other.send(.hello)
        #expect(try bed.answer(on: other) != nil)
        try other.send(.serving)
        #expect(!bed.handOver.advance())
        // The line is closed with it.
        #expect(try other.receive(milliseconds: 1_000) == nil)
    }

    @Test func aSuccessorThatDiesAfterTheServerLetGoIsAnError() throws {
        let bed = try Bed()
        do {
            let line = try bed.connect()
            try line.send(.hello)
            #expect(try bed.answer(on: line) != nil)
            try line.send(.take)
            #expect(bed.handOver.advance())
        }
        #expect(throws: ApusError.self) { try bed.handOver.released() }
    }

    @Test func whoeverCannotGoOnWhereTheServerStopsSaysSoBeforeItStops() throws {
        let folder = CommandFixture()
        let nobody = #expect(throws: ApusError.self) {
            _ = try TakeOver(ServerConfiguration(dataDirectory: folder.folder))
        }
        #expect(nobody?.code == .serverUnreachable)
    }
}

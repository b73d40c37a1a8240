import ApusCore
@testable import ApusTelemetry
import Glibc
import Testing

@Suite struct LogTests {
    /// A pipe that a log writes to.
    private final class Pipe {
        let reader: CInt
        let writer: CInt

        init() {
            var ends: [CInt] = [0, 0]
            precondition(pipe(&ends) == 0)
            (self.reader, self.writer) = (ends[0], ends[1])
        }

        deinit {
            close(self.reader)
            close(self.writer)
        }

        /// What lies in the pipe now.
        func lines() -> [String] {
            var bytes: [UInt8] = []
            var interest = pollfd(fd: self.reader, events: Int16(POLLIN), revents: 0)
            while poll(&interest, 1, 0) == 1 {
                var part = [UInt8](repeating: 0, count: 65_536)
                let count = read(self.reader, &part, part.count)
                guard count > 0 else { break }
                bytes += part.prefix(count)
            }
            return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map { String($0) }
        }
    }

    @Test func `a line of JSON says when, how bad, what and the fields`() throws {
        let pipe = Pipe()
        Log(format: .json, descriptor: pipe.writer).warning("a \"quote\"\u{1B}[31m", ["topic": "t", "n": "1"])
        let line = try #require(pipe.lines().first)
        #expect(line.hasPrefix(#"{"time":"20"#))
        #expect(line.hasSuffix(#","level":"warning","message":"a \"quote\"\u001b[31m","topic":"t","n":"1"}"#))
    }

    @Test func `a line of text cannot be forged by what it holds`() throws {
        let pipe = Pipe()
        let log = Log(format: .text, descriptor: pipe.writer)
        log.info("one\ntwo\u{1B}[2J\u{9B}3m", ["name": "a b\n", "plain": "x", "empty": ""])
        let lines = pipe.lines()
        #expect(lines.count == 1)
        #expect(lines.first?.hasSuffix(#" INFO    one\x0atwo\x1b[2J\x9b3m name="a b\n" plain=x empty="""#) == true)
    }

    @Test func `lines below the level are left out`() {
        let pipe = Pipe()
        let log = Log(level: .warning, descriptor: pipe.writer)
        log.debug("d")
        log.info("i")
        log.warning("w")
        log.error("e")
        #expect(pipe.lines().count == 2)
        #expect(LogLevel("warning") == .warning)
        #expect(LogLevel("loud") == nil)
    }

    @Test(arguments: [LogFormat.json, .text])
    func `a line stays within its bound and whole`(format: LogFormat) throws {
        let pipe = Pipe()
        let log = Log(format: format, descriptor: pipe.writer)
        for character in ["a", "\u{20AC}", "\u{1}", "\""] {
            log.info(
                String(repeating: character, count: 10_000),
                ["k": String(repeating: character, count: 10_000), "short": "1"])
            let lines = pipe.lines()
            #expect(lines.count == 1)
            let line = try #require(lines.first)
            #expect(line.utf8.count < Limits.Telemetry.logLineBytes)
            #expect(!line.contains("\u{FFFD}"))
            if format == .json { #expect(line.hasSuffix(#""truncated":true}"#)) }
        }
    }

    @Test func `a flood is cut and the next line says how much`() throws {
        let pipe = Pipe()
        let log = Log(descriptor: pipe.writer)
        var written = 0
        while log.dropped == 0 {
            log.info("x")
            written += pipe.lines().count
            try #require(written < 100_000)
        }
        #expect(written >= Limits.Telemetry.logLinesAtOnce)
        // Lines are earned again as time passes.
        var lines: [String] = []
        while lines.isEmpty {
            log.info("y")
            lines = pipe.lines()
        }
        #expect(lines.first?.contains(" dropped=") == true)
        #expect(log.dropped == 0)
    }

    @Test func `a reader that does not read holds nobody up`() {
        let pipe = Pipe()
        let log = Log(descriptor: pipe.writer)
        let long = String(repeating: "a", count: 3_000)
        for _ in 0..<100 { log.info(long) }
        let dropped = log.dropped
        #expect(dropped > 0)
        #expect(pipe.lines().count + dropped == 100)
        log.info("after")
        #expect(pipe.lines().last?.hasSuffix("after dropped=\(dropped)") == true)
    }

    @Test func `lines of several threads do not mix`() async {
        let pipe = Pipe()
        let log = Log(format: .text, descriptor: pipe.writer)
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<4 {
                group.addTask { for _ in 0..<50 { log.info(String(repeating: "\(task)", count: 50)) } }
            }
        }
        let lines = pipe.lines()
        #expect(lines.count == 200)
        #expect(lines.allSatisfy { Set($0.suffix(50)).count == 1 })
    }

    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000Z"),
            (1_772_366_399_999_999, "2026-03-01T11:59:59.999Z"), (4_107_542_400_000_000, "2100-03-01T00:00:00.000Z"),
        ] as [(Int64, String)])
    func `times are those of the calendar`(microseconds: Int64, text: String) {
        #expect(LogLine.time(microseconds) == text)
    }

    @Test func `request tags differ and have 32 digits`() {
        var first = RequestTagGenerator()
        var second = RequestTagGenerator()
        var seen: Set<String> = []
        for _ in 0..<1_000 {
            seen.insert(first.next().description)
            seen.insert(second.next().description)
        }
        #expect(seen.count == 2_000)
        #expect(seen.allSatisfy { $0.utf8.count == 32 })
    }
}

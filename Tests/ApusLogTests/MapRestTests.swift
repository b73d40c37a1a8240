import ApusCore
import ApusTestSupport
import Glibc
import Testing

@testable import ApusLog

@Suite("Pages of a log at rest")
struct MapRestTests {
    @Test("what was looked at before the start is given back at the first rest")
    func theStart() {
        var rest = MapRest()
        rest.wrote(Limits.Log.restBytes)
        let looks = (0..<3).map { _ in rest.look() }
        #expect(looks == [false, true, false], "while it works its pages stay, and they are given back once")
    }

    @Test("little is kept, and what gathers is given back at the bound")
    func theBound() {
        var rest = MapRest()
        _ = rest.look()
        rest.wrote(Limits.Log.restBytes - 1)
        let below = rest.look()
        rest.wrote(1)
        let above = rest.look()
        #expect(!below && above)
    }

    @Test("a pause gives back what a little work left")
    func thePause() {
        var rest = MapRest()
        _ = rest.look()
        rest.wrote(Limits.Log.pauseBytes - 1)
        #expect((0..<3).map { _ in rest.look() } == [false, false, false])
        rest.wrote(1)
        #expect((0..<3).map { _ in rest.look() } == [false, true, false], "not while it works, then once")
    }

    @Test("a log that was written and comes to rest takes little memory, and reads what it wrote")
    func memory() throws {
        let scratch = ScratchDirectory("map-rest")
        let topic = try LogFixture.topic("large")
        let log = try LogFixture.open(scratch.path, EmbeddedLogConfiguration())
        defer { log.close() }
        try log.createTopic(topic, TopicConfiguration(partitions: 1))
        let appends = Array(repeating: LogFixture.append(topic, bytes: 64 << 10), count: 8)
        for _ in 0..<64 { _ = try LogFixture.write(log, LogBatch(urgency: .producer, appends: appends)) }
        #expect(try LogFixture.count(log, topic) == 512)
        try LogFixture.eventually("the file is mapped no more") {
            try Self.mapped(scratch.path) < 4 * Limits.Log.restBytes
        }
        #expect(try LogFixture.count(log, topic) == 512)
    }

    /// Bytes of the files in a folder that are in this process's memory.
    private static func mapped(_ folder: String) throws -> Int64 {
        var isOurs = false
        var sum: Int64 = 0
        for line in String(decoding: try readFile("/proc/self/smaps"), as: UTF8.self).split(separator: "\n") {
            if line.contains("-"), line.contains(" r") { isOurs = line.contains(folder) }
            guard isOurs, line.hasPrefix("Rss:") else { continue }
            sum += (line.split(separator: " ").compactMap { Int64($0) }.first ?? 0) << 10
        }
        return sum
    }
}

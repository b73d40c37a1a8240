import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// A schedule of every minute on the real clock, and a server that is killed around the turn of the minute. It takes minutes, so that
/// only `make soak` runs it; the rest of what schedules do is tested in virtual time.
@Suite(
    .serialized,
    .enabled(if: getenv("APUS_SOAK") != nil, "it waits for minutes of the real clock: `make soak` runs it"),
    .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct ScheduleSoakTests {
    private static let manifest = """
        apiVersion: apus.dev/v1
        kind: Topic
        metadata: {name: ticks}
        ---
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: clock}
        spec:
          runtime: python3
          handler: main:tick
          emits: [ticks]
          triggers: [{schedule: {cron: "* * * * *", missed: all}}]
        """
    private static let code = "def tick(event, context):\n    context.emit(\"ticks\", event.data)\n"

    /// To the turn of the minute, give or take a second.
    private static func sleepToTheTurn(_ random: inout SeededGenerator) {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let rest = UInt32(60 - now.tv_sec % 60) * 1_000_000
        usleep(rest - 1_000_000)
        usleep(UInt32.random(in: 0...2_000_000, using: &random))
    }

    private static func times(_ server: TestServer) throws -> [String] {
        try server.consume("ticks").compactMap { line in
            try JSONValue.parse(Array(line.utf8))["data"]?["scheduledTime"]?.string
        }
    }

    private static func areConsecutive(_ times: [String]) -> Bool {
        let minutes = times.compactMap { $0.dropLast(4).split(separator: ":").last.flatMap { Int($0) } }
        return zip(minutes, minutes.dropFirst()).allSatisfy { ($0 + 1) % 60 == $1 }
    }

    @Test func everyMinuteFiresOnceThoughTheServerIsKilled() throws {
        let server = try TestServer()
        try server.start()
        server.deploy(try server.write("clock", manifest: Self.manifest, files: ["main.py": Self.code]))
        var random = SeededGenerator(seed: 7)
        for _ in 0..<4 {
            Self.sleepToTheTurn(&random)
            server.kill9()
            try server.start()
        }
        #expect(waitUntil(seconds: 70) { server.consume("ticks").count >= 4 }, "\(server.log)")
        let times = try Self.times(server)
        #expect(times.count >= 4 && Set(times).count == times.count, "\(times)")
        #expect(Self.areConsecutive(times), "\(times)")
    }

    /// The same by two servers on a real Kafka, killed in turn: whoever fires writes a firing and how far its schedule has come together.
    @Test(.enabled(if: KafkaBroker.isThere, Comment(rawValue: KafkaBroker.skipReason)))
    func everyMinuteFiresOnceThoughServersOnKafkaAreKilled() throws {
        let site = try ManyNodesTests.Site(2, manifest: Self.manifest, code: Self.code)
        var random = SeededGenerator(seed: 11)
        for round in 0..<4 {
            Self.sleepToTheTurn(&random)
            site.nodes[round % 2].kill9()
            try site.nodes[round % 2].start()
        }
        #expect(waitUntil(seconds: 90) { (try? Set(Self.times(site.nodes[0])).count).map { $0 >= 5 } ?? false }, "\(site.logs)")
        let times = Set(try Self.times(site.nodes[0])).sorted()
        #expect(Self.areConsecutive(times), "\(times)")
        // A kill may have the function run twice for a time; what fired, the schedule has counted.
        func fired() -> Int64? {
            let shown = site.nodes[1].apus("get", "schedules", "--output", "json")
            guard let schedules = try? JSONValue.parse(Array(shown.output.utf8)) else { return nil }
            return (schedules["items"]?.array ?? schedules.array)?.first?["fired"]?.integer
        }
        #expect(
            waitUntil(seconds: 40) { (try? Int64(Set(Self.times(site.nodes[1])).count)) == fired() },
            "\(fired().debugDescription) \(times)")
    }
}

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
    @Test func everyMinuteFiresOnceThoughTheServerIsKilled() throws {
        let server = try TestServer()
        try server.start()
        let manifest = """
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
        let code = "def tick(event, context):\n    context.emit(\"ticks\", event.data)\n"
        server.deploy(try server.write("clock", manifest: manifest, files: ["main.py": code]))
        var random = SeededGenerator(seed: 7)
        for _ in 0..<4 {
            // To the turn of the minute, give or take a second.
            var now = timespec()
            clock_gettime(CLOCK_REALTIME, &now)
            let rest = UInt32(60 - now.tv_sec % 60) * 1_000_000
            usleep(rest - 1_000_000)
            usleep(UInt32.random(in: 0...2_000_000, using: &random))
            server.kill9()
            try server.start()
        }
        #expect(waitUntil(seconds: 70) { server.consume("ticks").count >= 4 }, "\(server.log)")
        let times = try server.consume("ticks").compactMap { line in
            try JSONValue.parse(Array(line.utf8))["data"]?["scheduledTime"]?.string
        }
        let minutes = times.compactMap { $0.dropLast(4).split(separator: ":").last.flatMap { Int($0) } }
        #expect(times.count >= 4 && Set(times).count == times.count, "\(times)")
        #expect(zip(minutes, minutes.dropFirst()).allSatisfy { ($0 + 1) % 60 == $1 }, "\(times)")
    }
}

import ApusCore
import ApusJSON
import Testing

@testable import apus

@Suite struct TopTests {
    // MARK: reports

    private static let stats = #"""
        {"time": "2026-03-01T12:04:09Z", "seconds": 3,
         "functions": [
          {"name": "embed-text", "perSecond": 1204.2, "failuresPerSecond": 0.4, "succeeded": [0, 4, 7], "failed": [0, 0, 1],
           "totals": {"succeeded": 9000, "failed": 12, "deadLettered": 3}, "queued": {"count": 9, "p50": 64, "p99": 262144},
           "running": {"count": 9, "p50": 2048, "p99": 8192}, "coldStarts": {"count": 1, "p50": 9, "p99": 9},
           "instances": {"starting": 0, "ready": 1, "busy": 2, "stopped": 4}},
          {"name": "idle", "perSecond": 0, "failuresPerSecond": 0, "succeeded": [0, 0, 0], "failed": [0, 0, 0],
           "totals": {"succeeded": 1, "failed": 0, "deadLettered": 0}, "queued": {"count": 0, "p50": null, "p99": null},
           "running": {"count": 0, "p50": null, "p99": null}, "coldStarts": {"count": 0, "p50": null, "p99": null},
           "instances": {}}],
         "topics": [{"name": "documents", "perSecond": 200, "bytesPerSecond": 25600, "records": [1, 2, 3]}],
         "triggers": [
          {"function": "embed-text", "trigger": "documents", "topic": "documents", "lag": 12, "unsettled": 2, "ready": 1, "deadLetters": 3},
          {"function": "other", "trigger": "documents", "topic": "documents", "lag": 5, "unsettled": 0, "ready": 0, "deadLetters": 1},
          {"function": "late", "trigger": "old", "topic": "old", "lag": 7, "unsettled": 0, "ready": 0, "deadLetters": 0}],
         "instances": {"starting": 0, "ready": 1, "busy": 2, "sleeping": 0},
         "coldStarts": {"count": 4, "p50": 32768, "p99": 65536, "buckets": []}}
        """#

    private static func report() throws -> TopReport { TopReport(try JSONValue.parse(Self.stats)) }

    @Test func aReportSaysWhatFunctionsAndTopicsDo() throws {
        let report = try Self.report()
        let function = try #require(report.functions.first)
        #expect(function.series == [0, 4, 8])
        #expect(function.workers == 3 && function.busy == 2 && function.deadLettered == 3 && function.failed == 12)
        #expect(function.running.p99 == 8_192 && report.functions[1].running.p50 == nil)
        let documents = try #require(report.topics.first)
        #expect(documents.lag == 12 && documents.reader == "embed-text/documents" && documents.readers == 2)
        #expect(documents.deadLetters == 4)
        // A topic that only lags is a topic too.
        #expect(report.topics.map(\.name) == ["documents", "old"] && report.topics[1].lag == 7)
        #expect(TopReport(["functions": "x"]) == TopReport())
    }

    // MARK: the screen

    private static func crowd(_ count: Int) -> TopReport {
        var report = TopReport()
        for index in 0..<count {
            var function = TopReport.Function(name: "function-\(index)-\(String(repeating: "x", count: index % 50))")
            function.perSecond = Double(index) * 1_000
            function.series = Array(0..<60)
            function.running = TopReport.Latency(count: 1, p50: Int64(index) * 1_000, p99: 3_600_000_000)
            report.functions.append(function)
            report.topics.append(
                TopReport.Topic(name: "topic.\(index)", lag: index, reader: "some-function/trigger", readers: 1))
        }
        return report
    }

    @Test(arguments: [0, 1, 7, 200]) func everyLineFitsIntoEveryScreen(_ count: Int) {
        var report = Self.crowd(count)
        report.devices = (0..<count).map { TopReport.Device(id: "device-\($0)", health: "working") }
        report.costPerHour = 1_234_567
        report.fetches = (0..<count).map { TopReport.Fetch(function: "function-\($0)", fetched: 7, bytes: 9) }
        var help = TopView()
        _ = help.press(.help) { _ in (0, 0) }
        for view in [TopView(), help] {
            for width in [1, 2, 5, 12, 20, 33, 40, 60, 80, 100, 131, 200, 400] {
                for height in 1...40 {
                    let layout = TopLayout(
                        report: report, view: view, place: "http://127.0.0.1:8787  namespace default", status: "live",
                        width: width, height: height)
                    let lines = layout.lines
                    #expect(lines.count <= height, "\(width)x\(height)")
                    #expect(lines.allSatisfy { $0.width <= width }, "\(width)x\(height)")
                }
            }
        }
    }

    @Test func aWideScreenShowsAllColumns() throws {
        let layout = TopLayout(
            report: try Self.report(), place: "http://127.0.0.1:8787  namespace default", status: "live", width: 120,
            height: 16)
        let expected = """
            apus top  http://127.0.0.1:8787  namespace default                                                                  live
            workers 1 ready, 2 busy   events/s 1204   failed/s 0.40   cold starts 4, p50 32.8 ms, p99 65.5 ms   waiting 0

            FUNCTIONS          EVENTS/S▼   FAILED/S       P50       P99   QUEUED P99   WORKERS   BUSY    COST/H    FAILED    DEAD
            embed-text              1204       0.40   2.05 ms   8.19 ms       262 ms         3      2         -        12       3
            idle                       0          0         -         -            -         -      -         -         0       0

            TOPICS          EVENTS/S▼   BYTES/S       LAG    DEAD   READERS           FURTHEST BEHIND
            documents             200    25.6kB        12       4         2      embed-text/documents
            old                     0         0         7       0         1                  late/old





            q quit   ←→ order by   r reverse   tab table   ↑↓ scroll   p pause   ? help
            """
        #expect(Self.text(layout) == expected)
    }

    @Test func devicesCostAndWhatWaitsAreShownWhereTheyAreKnown() throws {
        var json = try JSONValue.parse(Self.stats)
        json["waiting"] = 7
        json["cost"] = ["perHour": 2.504, "currency": "EUR", "simulated": true]
        json["devices"] = [
            [
                "id": "simulated-h100-0", "kind": "h100", "simulated": true, "health": "working",
                "used": 17_179_869_184,
                "capacity": 85_899_345_920, "instances": [["function": "generate", "state": "busy"]],
            ],
            [
                "id": "simulated-h100-1", "kind": "h100", "simulated": true, "health": "quarantined", "used": 0,
                "capacity": 85_899_345_920, "instances": [],
            ],
        ]
        let layout = TopLayout(report: TopReport(json), place: "here", status: "live", width: 160, height: 24)
        let lines = Self.text(layout).split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines[1].hasSuffix("waiting 7   EUR/h 2.50 simulated"))
        #expect(lines[2] == "device simulated-h100-0 working (simulated)   16.0 GiB of 80.0 GiB   generate busy")
        #expect(lines[3] == "device simulated-h100-1 quarantined (simulated)   0 of 80.0 GiB   nothing")
        #expect(layout.lines.count <= 24)
        json["fetches"] = [
            ["function": "generate", "fetched": 3_221_225_472, "bytes": 17_179_869_184], ["function": "embed", "fetched": 512, "bytes": nil],
        ]
        let fetching = TopLayout(report: TopReport(json), place: "here", status: "live", width: 160, height: 24)
        let line = Self.text(fetching).split(separator: "\n", omittingEmptySubsequences: false)[4]
        #expect(line == "fetching generate 3.0 GiB of 16.0 GiB, 18 %;  embed 512 B")
        #expect(fetching.lines.count <= 24)
        let small = TopLayout(report: TopReport(json), place: "here", status: "live", width: 160, height: 12)
        #expect(Self.text(small).contains("and 1 more"))
    }

    @Test func aNarrowScreenKeepsWhatMattersMost() throws {
        let report = try Self.report()
        let narrow = TopLayout(report: report, place: "http://127.0.0.1:8787", status: "live", width: 40, height: 7)
        let expected = """
            apus top  http://127.0.0.1:8787     live
            FUNCTIONS          EVENTS/S▼   FAILED/S
            embed-text              1204       0.40
            idle                       0          0
            """
        #expect(Self.text(narrow) == expected)
        let tiny = TopLayout(report: report, place: "http://127.0.0.1:8787", status: "live", width: 20, height: 3)
        #expect(tiny.lines.first?.text == "live  http://127.0.0")
        #expect(tiny.lines.last?.text.hasPrefix("embed-text") == true)
    }

    private static func text(_ layout: TopLayout) -> String {
        layout.lines.map { line in
            var text = line.text[...]
            while text.last == " " { text.removeLast() }
            return String(text)
        }.joined(separator: "\n")
    }

    @Test func theLastSecondsAreDrawnWhereThereIsRoom() throws {
        var report = try Self.report()
        report.functions[0].series = Array(repeating: 0, count: 30) + Array(repeating: 8, count: 30)
        let layout = TopLayout(report: report, width: 200, height: 20)
        let line = try #require(layout.lines.first { $0.text.hasPrefix("embed-text") })
        #expect(line.text.hasSuffix(String(repeating: "█", count: 30)))
        #expect(layout.lines[3].text.contains("LAST 60 SECONDS"))
        #expect(TopText.line([0, 1, 4, 8], width: 6) == "   ▁▄█")
        #expect(TopText.line([5, 0, 1], width: 2) == " █")
        #expect(TopText.line([], width: 3) == "   ")
    }

    @Test func moreRowsThanFitAreCountedAndScrolledTo() {
        var layout = TopLayout(report: Self.crowd(50), width: 120, height: 24)
        #expect(layout.lines[3].text.hasPrefix("FUNCTIONS 1-11/50"))
        #expect(layout.rows == (11, 5))
        let rows = layout.rows(of: .functions)
        _ = layout.view.press(.end) { _ in rows }
        #expect(layout.lines[3].text.hasPrefix("FUNCTIONS 40-50/50"))
        #expect(layout.lines[14].text.hasPrefix("function-0-"))
        // What became shorter is shown from a row that it has.
        layout.report = Self.crowd(3)
        #expect(layout.lines[3].text.hasPrefix("FUNCTIONS  "))
        #expect(layout.lines[4].text.hasPrefix("function-2-"))
    }

    @Test func aFileGetsEveryRowAndNoKeys() {
        let layout = TopLayout(report: Self.crowd(50), width: 100, height: nil)
        #expect(layout.lines.count == 3 + 51 + 1 + 51)
        #expect(!layout.lines.contains { $0.text.contains("quit") })
    }

    @Test func anIdleServerSaysSo() {
        let lines = TopLayout(status: "live", width: 80, height: 20).lines.map(\.text)
        #expect(lines.contains("no function has run since the server started"))
        #expect(lines.contains("no topic was written or read since the server started"))
        #expect(lines[1].hasPrefix("workers none"))
    }

    @Test func coloursAreForTerminalsOnly() throws {
        let layout = TopLayout(report: try Self.report(), width: 100, height: 20)
        #expect(layout.lines.allSatisfy { !$0.painted(Paint(isColoured: false)).contains("\u{1B}") })
        #expect(layout.lines.contains { $0.painted(Paint(isColoured: true)).contains("\u{1B}[31m") })
    }

    // MARK: keys

    @Test func keysAreReadAsTerminalsSendThem() {
        let bytes = Array("q\u{03}\t\u{1B}[A\u{1B}OB\u{1B}[1;5C\u{1B}[5~\u{1B}[H?x\u{1B}".utf8)
        #expect(
            TopKey.all(in: bytes) == [
                .quit, .quit, .section, .up, .down, .right, .pageUp, .home, .help, .sort("x"), .other,
            ])
        #expect(TopKey.all(in: [0x1B, 0x5B]) == [.other])
    }

    @Test func keysChangeWhatIsLookedAt() {
        var view = TopView()
        func press(_ key: TopKey) -> TopView.Action { view.press(key) { _ in (20, 5) } }
        #expect(press(.quit) == .quit && press(.suspend) == .suspend && press(.other) == .none)
        #expect(press(.right) == .draw && view[.functions].column == 1)
        #expect(press(.left) == .draw && press(.left) == .draw && view[.functions].column == TopColumns.functions.count)
        #expect(press(.up) == .draw && view[.functions].first == 0)
        #expect(press(.pageDown) == .draw && view[.functions].first == 5)
        #expect(press(.end) == .draw && view[.functions].first == 15)
        #expect(press(.down) == .draw && view[.functions].first == 15)
        #expect(press(.sort("l")) == .draw && TopColumns.functions[view[.functions].column].title == "P99")
        #expect(press(.sort("g")) == .none && press(.sort("z")) == .none)
        #expect(press(.section) == .draw && press(.sort("g")) == .draw && press(.reverse) == .draw)
        #expect(TopColumns.topics[view[.topics].column].title == "LAG" && view[.topics].isReversed)
        #expect(!view[.functions].isReversed)
        #expect(press(.pause) == .draw && view.isPaused && press(.pause) == .draw && !view.isPaused)
    }

    @Test func everyNamedOrderIsAColumn() {
        for order in TopOrder.allCases where order != .events {
            #expect(TopView(sortedBy: order.key) != TopView(), "\(order)")
        }
        #expect(TopView(sortedBy: "e") == TopView())
    }

    @Test func rowsAreOrderedByTheirColumn() throws {
        var report = Self.crowd(3)
        report.functions[0].failuresPerSecond = 5
        var view = TopView(sortedBy: "f")
        func names() -> [String] {
            TopLayout(report: report, view: view, width: 80, height: 24).lines[4..<7].map { String($0.text.prefix(10)) }
        }
        #expect(names() == ["function-0", "function-1", "function-2"])
        _ = view.press(.reverse) { _ in (3, 3) }
        #expect(names() == ["function-2", "function-1", "function-0"])
    }

    @Test func numbersKeepToSevenColumns() {
        #expect(
            [0, 0.25, 9.99, 12.4, 100, 9_999, 98_240, 1_250_000].map(TopText.rate) == [
                "0", "0.25", "9.99", "12.4", "100", "9999", "98.2k", "1.25M",
            ])
        for power in 0..<15 {
            var value = 1
            for _ in 0..<power { value *= 10 }
            for number in [value - 1, value, value + value / 2] {
                #expect(TopText.count(number).count <= 6, "\(number)")
                #expect(TopText.bytes(Double(number)).count <= 7, "\(number)")
            }
        }
    }

    // MARK: the command

    @Test func withoutAScreenItPrintsOnce() {
        let fixture = CommandFixture()
        fixture.server.answer = { _ in FakeServer.json(Self.stats) }
        #expect(fixture.run("top", "--seconds", "10", "--limit", "3") == 0)
        #expect(fixture.server.requests.map(\.target) == ["/v1/stats?seconds=10&limit=3"])
        #expect(fixture.terminal.text.contains("embed-text") && !fixture.terminal.text.contains("\u{1B}"))
        #expect(!fixture.terminal.text.contains(" \n"))
    }

    @Test func jsonIsTheServersReportOnceOrASecond() throws {
        let fixture = CommandFixture()
        fixture.server.answer = { _ in FakeServer.json(Self.stats) }
        #expect(fixture.run("top", "--output", "json") == 0)
        #expect(try JSONValue.parse(fixture.terminal.text) == JSONValue.parse(Self.stats))
        fixture.terminal.output = []
        fixture.server.answer = { _ in FakeServer.json("data: {\"seconds\":1}\n\ndata: {\"seconds\":2}\n\n") }
        #expect(fixture.run("top", "--output", "json", "--follow") == 4)
        #expect(fixture.terminal.text == "{\"seconds\":1}\n{\"seconds\":2}\n")
        #expect(fixture.run("top", "--follow") == 2)
        #expect(fixture.run("top", "--follow", "--once", "--output", "json") == 2)
        #expect(fixture.run("top", "--seconds", "\(Limits.Commands.statsSeconds + 1)") == 2)
        #expect(fixture.run("top", "--limit", "\(Limits.Commands.statsItems + 1)") == 2)
    }
}

import ApusCore
import ApusEngine
import ApusHTTP
import ApusHost
import ApusTelemetry
import ApusTestSupport
import ApusTools
import Testing

@testable import ApusServer

@Suite(.timeLimit(.minutes(3))) struct ServerMetricsTests {
    private static let docs: String = {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        return "/\(root)/docs/operating/observability.md"
    }()

    @Test func theTableOfTheDocumentationIsMadeOfTheList() throws {
        let text = String(decoding: try readFile(Self.docs), as: UTF8.self)
        let parts = text.split(separator: "<!-- metrics -->\n", omittingEmptySubsequences: false)
        try #require(parts.count == 3)
        #expect(parts[1] == ServerMetric.table + "\n", "write this between the marks:\n\(ServerMetric.table)")
    }

    @Test func everyMetricHasANameOfItsOwnAndIsKeptByTheLint() throws {
        #expect(Set(ServerMetric.all.map(\.name)).count == ServerMetric.all.count)
        let bed = try ServerBed(shards: 2)
        _ = try bed.makeTopic("orders")
        _ = try bed.makeFunction("price", topic: "orders")
        _ = try bed.ask("POST", "/v1/topics/orders/events", body: "x")
        let answer = try bed.ask("GET", "/metrics")
        #expect(answer.header("Content-Type") == PrometheusText.mediaType)
        let text = String(decoding: answer.body, as: UTF8.self)
        let lint = ExpositionLint(text)
        #expect(lint.problems.isEmpty, "\(lint.problems)")
        #expect(Set(lint.types.keys).isSubset(of: ServerMetric.all.map(\.name)))
        #expect(lint.samples[#"apus_trigger_lag{namespace="default",function="price",trigger="orders"}"#] == 1)
        #expect(lint.samples[#"apus_http_request_seconds_count{operation="publishEvents",status="2xx"}"#] == 1)
        #expect(lint.samples["apus_functions"] == 1 && lint.samples[#"apus_build_info{version="0"}"#] == 1)
        bed.server.stop()
    }

    @Test func theLintSeesWhatIsWrong() {
        for text in [
            "a 1\n", "# HELP a b\n# TYPE a gauge\na x\n", "# HELP a b\n# TYPE a counter\na 1\n",
            "# HELP a b\n# TYPE a gauge\na 1\na 1\n", "# HELP a b\n# TYPE a gauge\na{x=1} 1\n",
            "# HELP a b\n# TYPE a gauge\na 1", "# HELP a b\n# TYPE a histogram\na_bucket{le=\"1\"} 1\n",
        ] {
            #expect(!ExpositionLint(text).problems.isEmpty, "\(text)")
        }
    }

    @Test func functionsAboveTheBoundShareOneHistogram() throws {
        let activity = (0..<Limits.Telemetry.histogramsPerMetric + 50).compactMap { index in
            ResourceName(.default, "f\(index)").map { name in
                var counts = ActivityCounts()
                counts.running.record(.milliseconds(1))
                return ActivitySnapshot(function: name, counts: counts, seconds: [])
            }
        }
        let shard = ShardScrape(
            shard: ShardStatistics(), listener: HTTPListener.Statistics(), connections: 0, refusals: RefusalJournal(),
            durations: RequestDurations(), agents: OperationDurations(),
            operations: [], attemptsInFlight: 0, instances: [], activity: activity, triggers: [], logLinesDropped: 0)
        let server = ServerScrape(
            log: LogStatus(), appended: [], spans: nil, process: ProcessUsage(), startedAt: .zero, version: "1",
            functions: activity.count, shares: [ShareStatus(Share(.cpu, 3), .working)], others: [])
        let lint = ExpositionLint(
            String(decoding: PrometheusText.write(MetricsScrape([shard], server).metrics), as: UTF8.self))
        #expect(lint.problems.isEmpty, "\(lint.problems)")
        let counts = lint.samples.filter { $0.key.hasPrefix("apus_running_seconds_count") }
        #expect(counts.count == Limits.Telemetry.histogramsPerMetric + 1)
        #expect(counts[#"apus_running_seconds_count{namespace="other",function="other"}"#] == 50)
    }

    @Test func toolsAboveTheBoundAreCountedTogether() {
        var durations = OperationDurations(most: 3)
        func note(_ tool: String, _ status: OperationDurations.Status = .ok) {
            durations.note(.init(method: .callTool, namespace: .default, tool: tool, status: status), .milliseconds(1))
        }
        for tool in ["a", "b", "c", "d", "e", "a"] { note(tool) }
        note("a", .toolError)
        let counts = durations.histograms.reduce(into: [String: UInt64]()) { $0["\($1.key.tool) \($1.key.status)"] = $1.value.count }
        #expect(counts == ["a ok": 2, "b ok": 1, "c ok": 1, "other ok": 2, "other toolError": 1])
    }

    @Test func bucketsAreCountedWholeWhateverIsShown() {
        var histogram = LatencyHistogram()
        for microseconds: Int64 in [1, 64, 65, 1_000_000, 67_108_864, 67_108_865, 500_000_000] {
            histogram.record(.microseconds(microseconds))
        }
        let counts = histogram.shownCounts
        #expect(counts.count == LatencyHistogram.bounds.count + 1 && counts.reduce(0, +) == 7)
        #expect(counts[0] == 2 && counts[1] == 1 && counts.last == 2)
    }

    @Test func aReceiverThatIsBusyIsToldFromOneThatRefuses() {
        func answer(_ status: Int, _ headers: [HTTPHeader] = []) -> ExportSchedule.Answer {
            OTLPExporter.answer(status: status, retryAfter: headers.first?.value)
        }
        #expect(answer(200) == .accepted && answer(400) == .refused && answer(404) == .refused)
        for status in [429, 502, 503, 504] { #expect(answer(status) == .busy(retryAfter: nil)) }
        #expect(answer(503, [HTTPHeader("Retry-After", "7")]) == .busy(retryAfter: .seconds(7)))
    }
}

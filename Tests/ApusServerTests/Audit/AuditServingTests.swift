import ApusCore
import ApusHTTP
import ApusJSON
import ApusLoop
import ApusStore
import ApusTestSupport
import ApusTools
import Synchronization
import Testing

@testable import ApusServer

@Suite struct AuditServingTests {
    private static func note(_ bed: TokenBed, _ subject: String, _ decision: AuditEntry.Decision = .allowed) throws {
        let slot = ResultSlot<Result<Void, ApusError>>()
        let entry = AuditEntry(.call, decision, namespace: .default, principal: "helper", subject: subject)
        bed.bed.server.audit.note(entry, now: bed.now) { slot.fill($0) }
        try slot.take().get()
    }

    private static func json(_ response: HTTPResponse) throws -> JSONValue { try JSONValue.parse(response.body) }

    @Test func recordsAreFoundByWhatTheySay() throws {
        let bed = try TokenBed()
        defer { bed.bed.server.stop() }
        for index in 0..<5 { try Self.note(bed, "tool-\(index)", index == 3 ? .refused : .allowed) }
        let admin = bed.bed.token
        let refused = try Self.json(bed.ask("GET", "/v1/audit?decision=refused", token: admin))
        #expect(refused["items"]?.array?.compactMap { $0["subject"]?.string } == ["tool-3"])
        #expect(
            try Self.json(bed.ask("GET", "/v1/audit?principal=nobody", token: admin))["items"]?.array?.isEmpty == true)
        var found: [String] = []
        var query = "limit=2"
        for _ in 0..<10 {
            let page = try Self.json(bed.ask("GET", "/v1/audit?subject=tool-1&\(query)", token: admin))
            found += page["items"]?.array?.compactMap { $0["subject"]?.string } ?? []
            guard page["atEnd"]?.boolean == false, let next = page["next"]?.string else { break }
            query = "limit=2&after=\(next)"
        }
        #expect(found == ["tool-1"])
        let elsewhere = try bed.ask("GET", "/v1/namespaces/other/audit", token: admin)
        #expect(try Self.json(elsewhere)["items"]?.array?.isEmpty == true, "nothing crosses namespaces")
    }

    @Test func whatIsWholeIsSaidToBeAndWhatIsNotIsFound() throws {
        let bed = try TokenBed()
        defer { bed.bed.server.stop() }
        for index in 0..<20 { try Self.note(bed, "tool-\(index)") }
        let admin = bed.bed.token
        let good = try Self.json(bed.ask("POST", "/v1/audit/verify", token: admin))
        #expect(good["valid"]?.boolean == true && good["records"]?.integer == 21)
        // Somebody who may write to the log, and has no key, adds a record of its own.
        let exact = try Self.json(bed.ask("GET", "/v1/audit?exact=true&subject=tool-7", token: admin))
        let copy = try #require(exact["items"]?[0]?.string)
        for data in [copy, copy.replacing("tool-7", with: "tool-9")] {
            let append = LogBatch.Append(
                topic: .audit, partition: bed.bed.server.audit.partition,
                block: EventBlock.encode(Event(key: nil, data: Array(data.utf8))))
            let slot = ResultSlot<Result<LogReceipt, ApusError>>()
            bed.bed.log.submit(LogBatch(urgency: .settlement, appends: [append])) { slot.fill($0) }
            _ = try slot.take().get()
        }
        let bad = try Self.json(bed.ask("POST", "/v1/audit/verify", token: admin))
        #expect(bad["valid"]?.boolean == false)
        #expect(bad["findings"]?.array?.compactMap { $0["offset"]?.integer } == [21, 22])
    }

    @Test func listsAreWrittenOnceAMinuteForEachCaller() throws {
        let bed = try TokenBed()
        defer { bed.bed.server.stop() }
        let audit = bed.bed.server.audit
        for minute in [0, 0, 0, 1] as [Int64] {
            for name in ["ann", "bob"] {
                let list = AuditJournal.List(place: ToolPlace(namespace: .default), list: .tools, principal: name)
                audit.note(list, now: Timestamp(milliseconds: 60_000 * (30_000_000 + minute))) {
                    AuditEntry(.list, .allowed, namespace: .default, principal: name, subject: "tools")
                }
            }
        }
        let bounds = try bed.bed.log.bounds(of: TopicPartition(.audit, audit.partition))
        #expect(bounds.end == 5, "the start, and two lists in each of two minutes")
    }

    @Test func whatRetentionLetsGoIsNoLoss() throws {
        let bed = try TokenBed()
        defer { bed.bed.server.stop() }
        for index in 0..<10 { try Self.note(bed, "tool-\(index)") }
        let place = TopicPartition(.audit, bed.bed.server.audit.partition)
        let sweep = AuditSweep(server: bed.bed.server)
        let dry = try sweep.step(before: bed.now + .seconds(60), isDryRun: true, now: bed.now)
        #expect(dry.removed == 11 && dry.kept == 0)
        // All but the last few are too old.
        var times: [Timestamp] = []
        _ = try bed.bed.log.read(place, from: 0, maxRecords: 100, maxBytes: 1 << 20) { _, block in
            if let event = try? EventBlock.decode(block.bytes) { times.append(event.timestamp) }
            return true
        }
        let cut = try bed.bed.log.offset(of: place, at: times[6])
        let done = try sweep.step(before: times[6], isDryRun: false, now: bed.now)
        #expect(done.removed == Int(cut))
        try Self.note(bed, "later")
        let whole = try Self.json(bed.ask("POST", "/v1/audit/verify", token: bed.bed.token))
        #expect(whole["valid"]?.boolean == true)
    }
}

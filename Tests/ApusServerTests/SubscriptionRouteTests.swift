import ApusCore
import ApusHTTP
import ApusJSON
import ApusLoop
import ApusStore
import ApusTestSupport
import Testing

@testable import ApusServer

/// Subscriptions, replays and redriving many over HTTP, in process, with a nursery that starts nothing.
@Suite(.timeLimit(.minutes(2))) struct SubscriptionRouteTests {
    private func deploy(_ bed: ServerBed, _ trigger: String = #"{"topic":"documents","name":"in"}"#) throws {
        let topic =
            #"{"apiVersion":"apus.dev/v1","kind":"Topic","metadata":{"name":"documents"},"spec":{"partitions":2}}"#
        #expect(try bed.ask("PUT", "/v1/topics/documents", body: topic).status == 200)
        let manifest =
            #"{"apiVersion":"apus.dev/v1","kind":"Function","metadata":{"name":"f"},"#
            + #""spec":{"runtime":"python3","handler":"main:handle","source":".","triggers":[\#(trigger)]}}"#
        let answer = try bed.ask(
            "PUT", "/v1/functions/f", headers: [HTTPHeader("Apus-Bundle", try bed.makeBundle())], body: manifest)
        try #require(answer.status == 200, "\(String(decoding: answer.body, as: UTF8.self))")
    }

    private func json(_ bed: ServerBed, _ path: String) throws -> JSONValue {
        let answer = try bed.ask("GET", path)
        try #require(answer.status == 200, "\(String(decoding: answer.body, as: UTF8.self))")
        return try JSONValue.parse(answer.body)
    }

    private func publish(_ bed: ServerBed, _ count: Int) throws {
        for index in 0..<count {
            let event =
                #"{"specversion":"1.0","id":"\#(index)","source":"/t","type":"t","partitionkey":"k\#(index)","data":\#(index)}"#
            let answer = try bed.ask(
                "POST", "/v1/topics/documents/events",
                headers: [HTTPHeader("Content-Type", "application/cloudevents+json")], body: event)
            try #require(answer.status == 202)
        }
    }

    @Test func aPausedTriggerShowsItsLagItsAgeAndWhoPausedIt() throws {
        let bed = try ServerBed(shards: 2)
        try self.deploy(bed)
        #expect(try bed.ask("POST", "/v1/functions/f/pause", body: #"{"trigger":"in"}"#).status == 200)
        try self.publish(bed, 6)
        var shown: JSONValue = .null
        #expect(
            waitUntil(seconds: 10) {
                shown = (try? self.json(bed, "/v1/subscriptions"))?["items"]?.array?.first ?? .null
                return shown["lag"]?.integer == 6
            }, "\(shown)")
        #expect(shown["state"]?.string == "paused" && shown["paused"] == true && shown["trigger"]?.string == "in")
        #expect(shown["blocked"]?.array?.first?["message"]?.string?.contains("paused by admin since") == true)
        #expect(shown["oldest"]?.string != nil && shown["oldestSeconds"]?.double ?? -1 >= 0)
        let parts = try self.json(bed, "/v1/subscriptions?function=f&trigger=in&partitions=true")
        let partitions = parts["items"]?.array?.first?["partitions"]?.array ?? []
        #expect(partitions.count == 2 && partitions.compactMap { $0["lag"]?.integer }.reduce(0, +) == 6)
        #expect(try self.json(bed, "/v1/subscriptions?function=other")["items"]?.array?.isEmpty == true)
        #expect(try self.json(bed, "/v1/namespaces/other/subscriptions")["items"]?.array?.isEmpty == true)
        let metrics = String(decoding: try bed.ask("GET", "/metrics").body, as: UTF8.self)
        #expect(metrics.contains(#"apus_trigger_lag{namespace="default",function="f",trigger="in"} 6"#))
        #expect(
            metrics.contains(
                #"apus_records_lost_total{namespace="default",function="f",trigger="in",reason="retention"} 0"#))
        #expect(metrics.contains(#"apus_trigger_oldest_seconds{namespace="default",function="f",trigger="in"}"#))
        bed.server.stop()
    }

    @Test func aReplayIsPlannedBegunShownAndCancelled() throws {
        let bed = try ServerBed()
        try self.deploy(bed)
        #expect(try bed.ask("POST", "/v1/functions/f/pause").status == 200)
        try self.publish(bed, 4)
        let plan = try JSONValue.parse(
            try bed.ask("POST", "/v1/functions/f/replays", body: #"{"rate":5,"dryRun":true}"#).body)
        #expect(plan["state"]?.string == "planned" && plan["total"]?.integer == 4 && plan["id"] == .null)
        #expect(try self.json(bed, "/v1/functions/f/replays")["items"]?.array?.isEmpty == true)
        let begun = try bed.ask("POST", "/v1/functions/f/replays", body: #"{"trigger":"in","rate":5,"outputs":false}"#)
        let replay = try JSONValue.parse(begun.body)
        #expect(begun.status == 201 && begun.header("Apus-Position") != nil)
        let id = try #require(replay["id"]?.string)
        let shown = try self.json(bed, "/v1/functions/f/replays/\(id)")
        #expect(shown["state"]?.string == "paused" && shown["rate"]?.int == 5 && shown["outputs"] == false)
        #expect(shown["done"]?.integer == 0 && shown["principal"]?.string == "admin")
        let listed = try self.json(bed, "/v1/subscriptions")["items"]?.array ?? []
        #expect(listed.map { $0["replay"]?.string } == [nil, id] && listed[1]["lag"]?.integer == 4)
        #expect(try self.json(bed, "/v1/replays")["items"]?.array?.count == 1)
        let path = "/v1/functions/f/replays/\(id)"
        #expect(try JSONValue.parse(try bed.ask("DELETE", path).body)["action"]?.string == "cancelled")
        #expect(try JSONValue.parse(try bed.ask("DELETE", path).body)["action"]?.string == "unchanged")
        #expect(try self.json(bed, path)["state"]?.string == "cancelled")
        #expect(try self.json(bed, "/v1/subscriptions")["items"]?.array?.count == 1)
        bed.server.stop()
    }

    @Test func aReplayOfNothingEndsByItself() throws {
        let bed = try ServerBed()
        try self.deploy(bed)
        let begun = try JSONValue.parse(try bed.ask("POST", "/v1/functions/f/replays").body)
        let id = try #require(begun["id"]?.string)
        #expect(
            waitUntil(seconds: 10) {
                (try? self.json(bed, "/v1/functions/f/replays/\(id)"))?["state"]?.string == "finished"
            })
        bed.server.stop()
    }

    @Test(arguments: [
        ("f", #"{"trigger":"nothing"}"#, 404), ("f", #"{"from":"yesterday"}"#, 400), ("f", #"{"rate":0}"#, 400),
        ("f", #"{"rate":"5/s"}"#, 400), ("f", #"{"speed":5}"#, 400), ("f", "[]", 400), ("nobody", "{}", 404),
        ("f", #"{"to":"2999-01-01T00:00:00Z"}"#, 400),
        ("f", #"{"from":"2020-01-02T00:00:00Z","to":"2020-01-01T00:00:00Z"}"#, 400),
    ])
    func whatIsNoReplayIsRefused(function: String, body: String, status: Int) throws {
        let bed = try ServerBed()
        try self.deploy(bed)
        let answer = try bed.ask("POST", "/v1/functions/\(function)/replays", body: body)
        #expect(Int(answer.status) == status, "\(String(decoding: answer.body, as: UTF8.self))")
        bed.server.stop()
    }

    // MARK: redriving many

    /// Dead letters of the trigger as they would be after its deliveries were given up, in an order that is not theirs.
    private func bury(_ bed: ServerBed, _ offsets: [Offset], code: String = "function_failed") throws {
        for offset in offsets {
            let reason = DeadLetterReason(
                topic: "documents", partition: 1, offset: offset, attempts: 3, code: code, message: "no good",
                namespace: "default", function: "f", trigger: "in", time: SystemClock().now, revision: "r")
            let event = Event(
                key: Array("k".utf8), attributes: [Attribute("id", "\(offset)")] + reason.attributes,
                data: Array("\(offset)".utf8))
            let slot = ResultSlot<Result<LogReceipt, ApusError>>()
            bed.log.submit(
                LogBatch(
                    urgency: .settlement,
                    appends: [LogBatch.Append(topic: .dead, partition: 0, block: EventBlock.encode(event))])
            ) { slot.fill($0) }
            _ = try slot.take().get()
        }
    }

    private func redrive(_ bed: ServerBed, _ body: String) throws -> JSONValue {
        let answer = try bed.ask("POST", "/v1/redrives", body: body)
        try #require(answer.status == 200, "\(String(decoding: answer.body, as: UTF8.self))")
        return try JSONValue.parse(answer.body)
    }

    private func onTopic(_ bed: ServerBed) throws -> [Event] {
        var events: [Event] = []
        let place = TopicPartition(try #require(TopicName(.default, "documents")), 1)
        _ = try bed.log.read(place, from: 0, maxRecords: .max, maxBytes: .max) { _, block in
            if let event = try? EventBlock.decode(block.bytes) { events.append(event) }
            return true
        }
        return events
    }

    private func waitForLetters(_ bed: ServerBed, _ count: Int) {
        #expect(
            waitUntil(seconds: 10) {
                (try? self.json(bed, "/v1/dead-letters?limit=1000"))?["items"]?.array?.count == count
            })
    }

    /// Behaviour 38: each to its trigger, marked, and each key in its order, whatever order they are named in.
    @Test func manyAreRedrivenInTheOrderOfTheirEvents() throws {
        let bed = try ServerBed()
        try self.deploy(bed)
        try self.bury(bed, [9, 2, 5])
        self.waitForLetters(bed, 3)
        let items = try self.json(bed, "/v1/dead-letters")["items"]?.array ?? []
        let ids = items.compactMap { $0["id"]?.string }
        let answer = try self.redrive(bed, #"{"ids":["\#(ids.joined(separator: #"",""#))"]}"#)
        #expect(answer["redriven"]?.array?.count == 3 && answer["left"]?.array?.isEmpty == true)
        let events = try self.onTopic(bed)
        #expect(events.map { String(decoding: $0.data ?? [], as: UTF8.self) } == ["2", "5", "9"])
        for event in events {
            #expect(event.key == Array("k".utf8))
            #expect(
                event.attributes.first { $0.name == InternalHeader.redrive && $0.kind == .header }?.text
                    == "default/f/in")
        }
        // Once: they are named as refused, and nothing is appended.
        let again = try self.redrive(bed, #"{"ids":["\#(ids[0])"]}"#)
        #expect(again["refused"]?.array?.first?["code"]?.string == "conflict")
        #expect(try self.onTopic(bed).count == 3)
        bed.server.stop()
    }

    @Test func aFilterIsWorkedOffPartByPart() throws {
        let bed = try ServerBed()
        try self.deploy(bed)
        let count = Limits.Control.fatesPerWrite + 20
        try self.bury(bed, (0..<Offset(count)).map { $0 })
        try self.bury(bed, [1_000], code: "deadline_exceeded")
        self.waitForLetters(bed, count + 1)
        #expect(try self.json(bed, "/v1/dead-letters?reason=deadline_exceeded")["items"]?.array?.count == 1)
        let since = RFC3339.format(SystemClock().now + .seconds(60))
        #expect(try self.json(bed, "/v1/dead-letters?since=\(since)")["items"]?.array?.isEmpty == true)
        #expect(try self.json(bed, "/v1/dead-letters?trigger=other")["items"]?.array?.isEmpty == true)
        let first = try self.redrive(bed, #"{"function":"f","reason":"function_failed"}"#)
        #expect(first["redriven"]?.array?.count == Limits.Control.fatesPerWrite)
        let next = try #require(first["next"]?.integer)
        let second = try self.redrive(bed, #"{"function":"f","reason":"function_failed","after":\#(next)}"#)
        #expect(second["redriven"]?.array?.count == 20 && second["next"] == .null)
        #expect(try self.onTopic(bed).compactMap { $0["id"].flatMap(Int.init) } == Array(0..<count))
        #expect(try self.json(bed, "/v1/dead-letters?state=open")["items"]?.array?.count == 1)
        bed.server.stop()
    }

    @Test func whatCannotBeRedrivenDoesNotHoldUpTheOthers() throws {
        let bed = try ServerBed()
        try self.deploy(bed)
        try self.bury(bed, [1, 2])
        self.waitForLetters(bed, 2)
        let unknown = "\(String(repeating: "0", count: 16))-apus.dead-0-77"
        let ids = (try self.json(bed, "/v1/dead-letters")["items"]?.array ?? []).compactMap { $0["id"]?.string }
        let answer = try self.redrive(bed, #"{"ids":["\#(unknown)","\#(ids[0])"]}"#)
        #expect(answer["redriven"]?.array?.count == 1)
        #expect(answer["refused"]?.array?.first?["code"]?.string == "dead_letter_not_found")
        for body in [
            #"{"ids":[]}"#, #"{"ids":["x"]}"#, #"{"ids":["\#(ids[0])"],"function":"f"}"#, #"{"since":"x"}"#, "[]",
        ] {
            #expect(try bed.ask("POST", "/v1/redrives", body: body).status >= 400, "\(body)")
        }
        bed.server.stop()
    }
}

import ApusCore
import ApusHTTP
import ApusJSON
import ApusStore
import ApusTestSupport
import Synchronization
import Testing

@testable import ApusServer

@Suite(.timeLimit(.minutes(3))) struct ServerTests {
    // MARK: health and readiness

    @Test func saysThatItLivesWithoutATokenAndNothingElse() throws {
        let bed = try ServerBed()
        #expect(try bed.ask("GET", "/healthz", hasToken: false).status == 200)
        for path in ["/readyz", "/metrics", "/v1/functions", "/nowhere"] {
            let refused = try bed.ask("GET", path, hasToken: false)
            #expect(refused.status == 401 && ServerBed.problem(refused) == "unauthenticated", "\(path)")
        }
        bed.server.stop()
    }

    @Test func answersAnUnknownPathAsAProblem() throws {
        let bed = try ServerBed()
        let answer = try bed.ask("GET", "/v1/nothing/here")
        #expect(
            answer.status == 404 && answer.header("Content-Type") == Problem.mediaType
                && ServerBed.problem(answer) == "not_found")
        bed.server.stop()
    }

    @Test func saysWhyItIsNotReady() throws {
        let bed = try ServerBed()
        #expect(try bed.ask("GET", "/readyz").status == 200)
        bed.log.setShort(true)
        let answer = try bed.ask("GET", "/readyz")
        let problems = try JSONValue.parse(answer.body)["problems"]?.array ?? []
        #expect(answer.status == 503 && problems.count == 1 && problems[0].string?.contains("short of room") == true)
        bed.server.stop()
        #expect(Routes.problems(state: .serving, log: LogStatus(), projection: nil).isEmpty)
        #expect(
            Routes.problems(state: .starting, log: LogStatus(failure: "disk"), projection: "apus.logs/1: gone").count
                == 3)
    }

    // MARK: reading what was written

    @Test func aWriteSaysWhereItIsAndAReadRightAfterItShowsIt() throws {
        let bed = try ServerBed(shards: 2)
        let topic = try bed.makeTopic("orders")
        #expect(topic.status == 200 && topic.header("Apus-Position") == "apus.control/0/0")
        let function = try bed.makeFunction("price", topic: "orders")
        #expect(function.header("Apus-Position") == "apus.control/0/1")
        // Without naming the position: the write was answered only when queries showed it.
        #expect(try bed.ask("GET", "/v1/functions/price").status == 200)
        let named = try bed.ask("GET", "/v1/functions", headers: [HTTPHeader("Apus-Position", "apus.control/0/1")])
        #expect(named.status == 200 && String(decoding: named.body, as: UTF8.self).contains("price"))
        let deleted = try bed.ask("DELETE", "/v1/functions/price")
        #expect(deleted.status == 200 && deleted.header("Apus-Position") != nil)
        #expect(try bed.ask("GET", "/v1/functions/price").status == 404)
        bed.server.stop()
    }

    @Test(arguments: ["nonsense", "a/b/c", "apus.control/0", "apus.control/-1/0", "apus.control/0/-1", "/0/0"])
    func refusesAPositionItCannotRead(position: String) throws {
        expectRefusal(.invalidArgument, position) { () throws(ApusError) in try LogPosition(parsing: position).place }
    }

    @Test func refusesAPositionThatIsNotThereYet() throws {
        let bed = try ServerBed()
        let answer = try bed.ask("GET", "/v1/functions", headers: [HTTPHeader("Apus-Position", "apus.control/0/99")])
        #expect(answer.status == 416)
        bed.server.stop()
    }

    @Test func refusesWhatTheLogsOfAFunctionDoNotTake() throws {
        let bed = try ServerBed()
        _ = try bed.makeFunction("price")
        #expect(try bed.ask("GET", "/v1/functions/price/logs?after=0").status == 200)
        let id = String(repeating: "a", count: 32)
        let all = "level=warning&invocation=\(id)&revision=48ed&since=2026-03-01T12:00:00Z&limit=1&after=0"
        #expect(try bed.ask("GET", "/v1/functions/price/logs?\(all)").status == 200)
        for query in [
            "after=x", "after=-1", "after=", "since=1", "limit=0", "level=stdout", "level=", "invocation=1",
            "revision=",
            "revision=xyz", "revision=\(String(repeating: "a", count: 65))", "levels=info",
        ] {
            #expect(try bed.ask("GET", "/v1/functions/price/logs?\(query)").status == 400, "\(query)")
        }
        bed.server.stop()
    }

    // MARK: dead letters

    @Test func showsADeadLetterByteForByteAndRedrivesItOnce() throws {
        let bed = try ServerBed()
        _ = try bed.makeTopic("orders")
        _ = try bed.makeFunction("price", topic: "orders")
        let reason = DeadLetterReason(
            topic: "orders", partition: 0, offset: 5, attempts: 3, code: "function_failed", message: "boom",
            namespace: "default",
            function: "price", trigger: "orders", time: .zero, revision: "r")
        var event = Event(key: Array("k".utf8), data: Array(#"{"n":1e400,"n":2}"#.utf8))
        event.attributes =
            [Attribute("id", "7"), Attribute("type", "t"), Attribute("datacontenttype", "application/json")]
            + reason.attributes
        let place = try bed.append(.dead, event, partition: 3)
        let position = [HTTPHeader("Apus-Position", "apus.dead/3/\(place.offset)")]
        let list = try bed.ask("GET", "/v1/dead-letters", headers: position)
        let id = try #require(try JSONValue.parse(list.body)["items"]?.array?.first?["id"]?.string)

        let shown = String(decoding: try bed.ask("GET", "/v1/dead-letters/\(id)").body, as: UTF8.self)
        #expect(shown.contains(#""data":{"n":1e400,"n":2}"#) && shown.contains(#""code":"function_failed""#))

        let redriven = try bed.ask("POST", "/v1/dead-letters/\(id)/redrive")
        #expect(redriven.status == 200 && redriven.header("Apus-Position")?.hasPrefix("apus.control/0/") == true)
        let again = try bed.ask("POST", "/v1/dead-letters/\(id)/redrive")
        #expect(again.status == 409 && ServerBed.problem(again) == "conflict")
        let orders = try #require(TopicName(.default, "orders"))
        #expect(try bed.log.bounds(of: TopicPartition(orders, 0)).end == 1)
        bed.server.stop()
    }

    // MARK: streams

    @Test func aFollowerGetsEverythingInOrderAlthoughItReadsLate() throws {
        let bed = try ServerBed()
        _ = try bed.makeTopic("orders", partitions: 8)
        let orders = try #require(TopicName(.default, "orders"))
        let data = [UInt8](repeating: 0x31, count: 900_000)
        for partition in 0..<8 {
            for _ in 0..<3 { _ = try bed.append(orders, Event(data: data), partition: partition) }
        }
        let isPaused = Mutex(true)
        let stream = bed.stream("GET", "/v1/topics/orders/events?from=earliest", headers: [ServerBed.events]) {
            isPaused.withLock { $0 }
        }
        _ = try bed.append(orders, Event(data: data), partition: 0)
        isPaused.withLock { $0 = false }
        func ids() -> [String] {
            stream.read.split(separator: "\n").filter { $0.hasPrefix("id: ") }.map { String($0.dropFirst(4)) }
        }
        try ServerBed.until("all events") { ids().count == 25 }
        let seen = ids()
        for partition in 0..<8 {
            let offsets = seen.filter { $0.hasPrefix("\(partition):") }
            #expect(offsets == (0..<(partition == 0 ? 4 : 3)).map { "\(partition):\($0)" })
        }
        bed.server.stop()
    }

    @Test func aFollowerOfTheEndMissesNothingThatComesAfterItsHead() throws {
        let bed = try ServerBed()
        _ = try bed.makeTopic("orders")
        let orders = try #require(TopicName(.default, "orders"))
        _ = try bed.append(orders, Event(data: [1]))
        let stream = bed.stream("GET", "/v1/topics/orders/events", headers: [ServerBed.events])
        // The first bytes of the body: from here on everything must come.
        try ServerBed.until("the head") { !stream.read.isEmpty }
        _ = try bed.append(orders, Event(data: [2]))
        try ServerBed.until("the event") { stream.read.contains("id: 0:1") }
        #expect(!stream.read.contains("id: 0:0"))
        bed.server.stop()
    }

    @Test func oneThatCannotStartToFollowHearsWhyInsteadOfAStream() throws {
        let bed = try ServerBed()
        _ = try bed.makeTopic("orders", partitions: 2)
        for query in ["from=", "from=,", "from=2:0", "from=0:0,0:1", "partition=2"] {
            let answer = try bed.ask("GET", "/v1/topics/orders/events?\(query)", headers: [ServerBed.events])
            #expect(answer.status == 400 && ServerBed.problem(answer) == "invalid_argument", "\(query)")
        }
        bed.server.stop()
    }

    // MARK: the end

    @Test func openStreamsEndWholeAndDoNotUseUpTheDrain() throws {
        let bed = try ServerBed(drainSeconds: 600)
        _ = try bed.makeTopic("orders")
        _ = try bed.makeFunction("price")
        let streams = [
            bed.stream("GET", "/v1/topics/orders/events", headers: [ServerBed.events]),
            bed.stream("GET", "/v1/functions/price/logs", headers: [ServerBed.events]),
        ]
        try ServerBed.until("both heads") { streams.allSatisfy { !$0.read.isEmpty } }
        bed.server.stop()
        try ServerBed.until("both ends") { streams.allSatisfy { $0.end != nil } }
        for stream in streams { #expect(try stream.end?.get().status == 200, "ended with the last chunk, not cut off") }
    }

    @Test func endsWhileDependenciesAreBuiltAndTellsEveryDeployment() throws {
        let bed = try ServerBed(drainSeconds: 600)
        let bundle = try bed.makeBundle(["requirements.txt": "nothing==1\n"])
        func deployment(_ name: String) -> String {
            #"{"documents":[{"manifest":\#(ServerBed.manifest(name, dependencies: true)),"bundle":"\#(bundle)"}]}"#
        }
        let building = bed.stream("POST", "/v1/deployments", body: deployment("one"))
        try ServerBed.until("the first builds") { building.read.contains("checking") }
        let waiting = bed.stream("POST", "/v1/deployments", body: deployment("two"))
        // Its head shows that it was taken; the nursery never answers what the first one asks.
        try ServerBed.until("the second waits") { bed.server.deployer.waitingCount == 1 }
        bed.server.stop()
        for stream in [building, waiting] {
            try ServerBed.until("the answer") { stream.end != nil }
            #expect(stream.read.contains(#""code":"shutting_down""#), "\(stream.read)")
        }
    }
}

import ApusCore
import ApusEngine
import ApusHTTP
import ApusHost
import ApusJSON
import ApusLoop
import ApusStore
import ApusTestSupport
import Testing

@testable import ApusServer

/// Asynchronous invocations over HTTP, on a server whose workers never start: what is accepted waits.
@Suite struct InvocationRouteTests {
    private static let wantsAsync = HTTPHeader("Prefer", "respond-async")

    private func accept(_ bed: ServerBed, _ name: String = "f", body: String = "1", _ more: [HTTPHeader] = []) throws
        -> HTTPResponse
    {
        try bed.ask(
            "POST", "/v1/functions/\(name)/invoke",
            headers: [Self.wantsAsync, HTTPHeader("Content-Type", "application/json")] + more, body: body)
    }

    private func id(_ response: HTTPResponse) throws -> String {
        try #require(try JSONValue.parse(response.body)["id"]?.string)
    }

    private func json(_ bed: ServerBed, _ path: String) throws -> JSONValue {
        try JSONValue.parse(try bed.ask("GET", path).body)
    }

    private func records(_ bed: ServerBed, state: String) throws -> [Event] {
        var events: [Event] = []
        for partition in 0..<Limits.Invocations.partitions {
            _ = try bed.log.read(TopicPartition(.invocations, partition), from: 0, maxRecords: .max, maxBytes: .max) {
                _, block in
                if let event = try? EventBlock.decode(block.bytes) { events.append(event) }
                return true
            }
        }
        return events.filter { event in
            event.attributes.contains { $0.name == InvocationHeader.state && $0.text == state }
        }
    }

    @Test func anAcceptedInvocationIsDurableAndSeenAtOnce() throws {
        let bed = try ServerBed()
        defer { bed.server.stop() }
        #expect(try bed.makeFunction("f").status == 200)
        let accepted = try self.accept(bed)
        #expect(accepted.status == 202)
        let id = try self.id(accepted)
        #expect(accepted.header("Location") == "/v1/invocations/\(id)")
        #expect(accepted.header("Apus-Invocation") == id)
        #expect(accepted.header("Apus-Position") == "apus.invoke.default.f/0/0")
        #expect(accepted.header("Preference-Applied") == "respond-async")
        let state = try self.json(bed, "/v1/invocations/\(id)")
        #expect(state["id"]?.string == id)
        #expect(state["state"]?.string == "queued")
        #expect(state["function"]?.string == "f")
        #expect(state["principal"]?.string == "admin")
        #expect(state["attempts"]?.int == 0)
        #expect(state["finished"] == nil)
        #expect(try bed.ask("GET", "/v1/invocations/\(id)/result").status == 409)
        // A wait that ends without an end shows the state as it is.
        #expect(try self.json(bed, "/v1/invocations/\(id)?wait=1")["state"]?.string == "queued")
        #expect(try bed.ask("GET", "/v1/invocations/\(id)?wait=301").status == 400)
        #expect(try bed.ask("GET", "/v1/invocations/\(id)?wat=1").status == 400)
    }

    @Test func whatCannotBeAcceptedIsRefusedWithAReason() throws {
        let bed = try ServerBed()
        defer { bed.server.stop() }
        #expect(try bed.makeFunction("f").status == 200)
        #expect(ServerBed.problem(try self.accept(bed, "missing")) == "function_not_found")
        let event = [("specversion", "1.0"), ("id", "1"), ("source", "/test"), ("type", "test")].map {
            HTTPHeader("ce-\($0.0)", $0.1)
        }
        let late = event + [HTTPHeader("ce-expirytime", "2001-01-01T00:00:00Z")]
        #expect(ServerBed.problem(try self.accept(bed, "f", late)) == "expired")
        #expect(try self.accept(bed, "f", event + [HTTPHeader("ce-expirytime", "soon")]).status == 400)
        #expect(try self.accept(bed, "f", event + [HTTPHeader("ce-expirytime", "2999-01-01T00:00:00Z")]).status == 202)
        for path in ["xyz", String(repeating: "0", count: 32)] {
            let response = try bed.ask("GET", "/v1/invocations/\(path)")
            #expect(response.status == 404)
            #expect(ServerBed.problem(response) == "invocation_not_found")
        }
        bed.log.setShort(true)
        #expect(ServerBed.problem(try self.accept(bed)) == "log_full")
    }

    @Test func aQueueIsBounded() throws {
        let bed = try ServerBed { $0.invocationsPerFunction = 3 }
        defer { bed.server.stop() }
        #expect(try bed.makeFunction("f").status == 200)
        #expect(try bed.makeFunction("g").status == 200)
        var ids: [String] = []
        for _ in 0..<3 { ids.append(try self.id(try self.accept(bed))) }
        let refused = try self.accept(bed)
        #expect(refused.status == 429)
        #expect(ServerBed.problem(refused) == "queue_full")
        #expect(refused.header("Retry-After") == "5")
        #expect(try self.accept(bed, "g").status == 202)
        // One that ends makes room for another.
        #expect(try bed.ask("DELETE", "/v1/invocations/\(ids[1])").status == 200)
        try ServerBed.until("room for another") { (try? self.accept(bed).status) == 202 }
        #expect(try self.accept(bed).status == 429)
        // A write that the log refuses takes no room.
        bed.log.setShort(true)
        for _ in 0..<5 { #expect(ServerBed.problem(try self.accept(bed, "g")) == "log_full") }
        bed.log.setShort(false)
        for _ in 0..<2 { #expect(try self.accept(bed, "g").status == 202) }
        #expect(try self.accept(bed, "g").status == 429)
    }

    @Test func oneThatWaitsIsCancelledOnce() throws {
        let bed = try ServerBed()
        defer { bed.server.stop() }
        #expect(try bed.makeFunction("f").status == 200)
        let id = try self.id(try self.accept(bed))
        let other = try self.id(try self.accept(bed))
        let waiting = bed.stream("GET", "/v1/invocations/\(id)?wait=60")
        let cancelled = try bed.ask("DELETE", "/v1/invocations/\(id)")
        #expect(cancelled.status == 200)
        #expect(try JSONValue.parse(cancelled.body)["state"]?.string == "cancelled")
        try ServerBed.until("whoever waits to hear") { waiting.end != nil }
        #expect(waiting.read.contains(#""state":"cancelled""#))
        #expect(try bed.ask("DELETE", "/v1/invocations/\(id)").status == 409)
        #expect(ServerBed.problem(try bed.ask("GET", "/v1/invocations/\(id)/result")) == "cancelled")
        #expect(try self.records(bed, state: "cancelled").count == 1)
        #expect(try self.json(bed, "/v1/invocations/\(other)")["state"]?.string == "queued")
        #expect(try bed.ask("DELETE", "/v1/invocations/\(String(repeating: "1", count: 32))").status == 404)
    }

    @Test func aListIsNewestFirstAndInPages() throws {
        let bed = try ServerBed()
        defer { bed.server.stop() }
        #expect(try bed.makeFunction("f").status == 200)
        #expect(try bed.makeFunction("g").status == 200)
        var ids: [String] = []
        for index in 0..<7 { ids.append(try self.id(try self.accept(bed, index == 3 ? "g" : "f"))) }
        _ = try self.json(bed, "/v1/invocations/\(ids[6])")
        func list(_ query: String) throws -> [String] {
            let items = try self.json(bed, "/v1/invocations\(query)")["items"]?.array
            return try #require(items).compactMap { $0["id"]?.string }
        }
        #expect(Set(try list("")) == Set(ids))
        #expect(try list("?function=g") == [ids[3]])
        #expect(try list("?state=running").isEmpty)
        var paged: [String] = []
        var after = ""
        repeat {
            let page = try list("?limit=2\(after)")
            paged += page
            after = page.last.map { "&after=\($0)" } ?? ""
        } while !after.isEmpty
        #expect(paged == (try list("")))
        #expect(try bed.ask("GET", "/v1/invocations?state=lost").status == 400)
        #expect(try bed.ask("GET", "/v1/invocations?after=x").status == 400)
    }

    @Test func nothingCrossesNamespaces() throws {
        let bed = try ServerBed()
        defer { bed.server.stop() }
        let manifest = ServerBed.manifest("f").replacing(#""name":"f""#, with: #""name":"f","namespace":"team""#)
        let put = try bed.ask(
            "PUT", "/v1/namespaces/team/functions/f", headers: [HTTPHeader("Apus-Bundle", try bed.makeBundle())],
            body: manifest)
        #expect(put.status == 200)
        #expect(ServerBed.problem(try self.accept(bed)) == "function_not_found")
        let accepted = try bed.ask(
            "POST", "/v1/namespaces/team/functions/f/invoke", headers: [Self.wantsAsync], body: "1")
        let id = try self.id(accepted)
        #expect(accepted.header("Location") == "/v1/namespaces/team/invocations/\(id)")
        #expect(try self.json(bed, "/v1/namespaces/team/invocations/\(id)")["namespace"]?.string == "team")
        for (method, path) in [("GET", ""), ("GET", "/result"), ("DELETE", "")] {
            #expect(try bed.ask(method, "/v1/invocations/\(id)\(path)").status == 404)
        }
        #expect(try self.json(bed, "/v1/invocations")["items"]?.array?.isEmpty == true)
        #expect(try self.json(bed, "/v1/namespaces/team/invocations")["items"]?.array?.count == 1)
        #expect(try bed.ask("DELETE", "/v1/namespaces/team/invocations/\(id)").status == 200)
    }

    @Test func adeletedFunctionsInvocationsEndAndItsNameStartsAnew() throws {
        let bed = try ServerBed()
        defer { bed.server.stop() }
        #expect(try bed.makeFunction("f").status == 200)
        var ids: [String] = []
        for _ in 0..<600 { ids.append(try self.id(try self.accept(bed))) }
        #expect(try bed.ask("DELETE", "/v1/invocations/\(ids[300])").status == 200)
        #expect(try bed.ask("DELETE", "/v1/functions/f").status == 200)
        #expect(!bed.log.topics().contains { $0.invokedFunction != nil })
        #expect(try self.records(bed, state: "failed").count == 599)
        #expect(try self.records(bed, state: "cancelled").count == 1)
        let state = try self.json(bed, "/v1/invocations/\(ids[0])?wait=10")
        #expect(state["state"]?.string == "failed")
        #expect(state["code"]?.string == "function_not_found")
        #expect(ServerBed.problem(try self.accept(bed)) == "function_not_found")
        #expect(try bed.ask("DELETE", "/v1/invocations/\(ids[0])").status == 409)
        // The same name again is another function: its first invocation has another id, and is seen.
        #expect(try bed.makeFunction("f").status == 200)
        let again = try self.id(try self.accept(bed))
        #expect(!ids.contains(again))
        #expect(try self.json(bed, "/v1/invocations/\(again)")["state"]?.string == "queued")
        #expect(try bed.log.ledger(prefix: Array("default/f/apus.invoke/".utf8)).count == 1)
    }

    @Test func aRedeployedFunctionKeepsItsQueue() throws {
        let bed = try ServerBed()
        defer { bed.server.stop() }
        #expect(try bed.makeFunction("f").status == 200)
        let first = try self.id(try self.accept(bed))
        #expect(try bed.makeTopic("t").status == 200)
        #expect(try bed.makeFunction("f", topic: "t").status == 200)
        let second = try self.id(try self.accept(bed))
        #expect(first.prefix(16) == second.prefix(16))
        #expect(try self.json(bed, "/v1/invocations/\(first)")["state"]?.string == "queued")
        #expect(try bed.ask("DELETE", "/v1/invocations/\(first)").status == 200)
        #expect(bed.server.invocations.openCount(try #require(ResourceName(.default, "f"))) <= 2)
    }

    @Test func aSweepForgetsWhatEndedLongAgo() throws {
        let bed = try ServerBed()
        defer { bed.server.stop() }
        #expect(try bed.makeFunction("f").status == 200)
        let old = try self.id(try self.accept(bed))
        let open = try self.id(try self.accept(bed))
        #expect(try bed.ask("DELETE", "/v1/invocations/\(old)").status == 200)
        func sweep(_ time: Timestamp) throws -> Int {
            let slot = ResultSlot<Result<Int, ApusError>>()
            bed.server.store.run {
                do throws(ApusError) {
                    slot.fill(.success(try InvocationSweep(server: bed.server).step(endedBefore: time)))
                } catch { slot.fill(.failure(error)) }
            }
            return try slot.take().get()
        }
        #expect(try sweep(SystemClock().now + .seconds(-60)) == 0)
        #expect(try sweep(SystemClock().now + .seconds(60)) == 1)
        #expect(try sweep(SystemClock().now + .seconds(60)) == 0)
        #expect(ServerBed.problem(try bed.ask("GET", "/v1/invocations/\(old)")) == "invocation_not_found")
        #expect(try self.json(bed, "/v1/invocations/\(open)")["state"]?.string == "queued")
        #expect(try self.records(bed, state: "cancelled").isEmpty)
    }

    @Test func whoAcceptsCanWriteAlong() throws {
        let bed = try ServerBed()
        defer { bed.server.stop() }
        #expect(try bed.makeFunction("f").status == 200)
        #expect(try bed.makeTopic("along").status == 200)
        let topic = try #require(TopicName(onLog: "along"))
        let name = try #require(ResourceName(.default, "f"))
        let along = LogBatch.Append(topic: topic, block: EventBlock.encode(Event(data: [1])))
        let forged = Attribute(InvocationHeader.state, "succeeded", kind: .header)
        let slot = ResultSlot<Result<AcceptedInvocation, ApusError>>()
        bed.server.invocations.accept(
            name, Event(attributes: [Attribute("id", "1"), forged], data: [2]), principal: "schedule", along: [along],
            once: nil
        ) { slot.fill($0) }
        let accepted = try slot.take().get()
        #expect(accepted.position == RecordPlace(TopicPartition(.invoke(name), 0), 0))
        #expect(try bed.log.bounds(of: TopicPartition(topic, 0)).end == 1)
        #expect(try self.json(bed, "/v1/invocations/\(accepted.id)")["principal"]?.string == "schedule")
        var headers: [String] = []
        try bed.log.records(at: [accepted.position]) { _, block in
            let event = block.flatMap { try? EventBlock.decode($0.bytes) }
            headers = event?.attributes.filter { $0.kind == .header }.map(\.name) ?? []
        }
        #expect(headers.sorted() == [InvocationHeader.lane, InvocationHeader.principal])
    }
}

import ApusCore
import ApusHTTP
import ApusJSON
import ApusStore
import Testing

@testable import ApusServer

/// The same names in two namespaces: each read shows its own only.
@Suite(.timeLimit(.minutes(3))) struct IsolationTests {
    private static let namespaces = ["crimson", "azure"]

    private func manifest(_ kind: String, _ name: String, _ namespace: String, _ spec: String) -> String {
        #"{"apiVersion":"apus.dev/v1","kind":"\#(kind)","metadata":{"name":"\#(name)","namespace":"\#(namespace)"},"spec":\#(spec)}"#
    }

    /// A topic and a function with events, log lines and a dead letter, all of which say the namespace's name.
    private func fill(_ bed: TokenBed, _ namespace: String) throws -> String {
        let place = "/v1/namespaces/\(namespace)"
        let token = bed.bed.token
        let topic = try bed.ask(
            "PUT", "\(place)/topics/orders", token: token,
            body: self.manifest("Topic", "orders", namespace, #"{"partitions":1}"#))
        #expect(topic.status == 200)
        let spec = #"{"runtime":"python3","handler":"main:\#(namespace)","source":".","triggers":[{"topic":"orders"}]}"#
        let function = try bed.ask(
            "PUT", "\(place)/functions/price", token: token,
            headers: [HTTPHeader("Apus-Bundle", try bed.bed.makeBundle())],
            body: self.manifest("Function", "price", namespace, spec))
        #expect(function.status == 200, "\(String(decoding: function.body, as: UTF8.self))")
        let event = try bed.ask(
            "POST", "\(place)/topics/orders/events", token: token,
            headers: [HTTPHeader("Content-Type", "application/json")], body: #"{"of":"\#(namespace)"}"#)
        #expect(event.status == 202)

        let name = try #require(Namespace(namespace).flatMap { ResourceName($0, "price") })
        let line = LogLine(
            function: name, time: .zero, level: .info, text: "printed by \(namespace)", revision: "r", worker: 1,
            invocation: "")
        let logged = try bed.bed.append(.logs, line.event)
        let reason = DeadLetterReason(
            topic: "orders", partition: 0, offset: 0, attempts: 1, code: "function_failed", message: "in \(namespace)",
            namespace: namespace, function: "price", trigger: "orders", time: .zero, revision: "r")
        var letter = Event(data: Array("1".utf8))
        letter.attributes = [Attribute("id", "7"), Attribute("type", "t")] + reason.attributes
        let dead = try bed.bed.append(.dead, letter)
        for position in ["apus.logs/0/\(logged.offset)", "apus.dead/0/\(dead.offset)"] {
            let seen = try bed.ask(
                "GET", "\(place)/dead-letters", token: token, headers: [HTTPHeader("Apus-Position", position)])
            #expect(seen.status == 200)
        }
        let made = try bed.create(#"{"name":"reader","roles":["reader","deployer"]}"#, in: namespace, with: token)
        return try #require(try JSONValue.parse(made.body)["token"]?.string)
    }

    @Test func nothingCrosses() throws {
        let bed = try TokenBed(shards: 2)
        var tokens: [String: String] = [:]
        for namespace in Self.namespaces { tokens[namespace] = try self.fill(bed, namespace) }
        let reads = [
            "/functions", "/functions/price", "/functions/price/revisions", "/functions/price/logs", "/topics",
            "/topics/orders", "/topics/orders/events", "/dead-letters",
        ]
        for (own, other) in [("crimson", "azure"), ("azure", "crimson")] {
            let token = try #require(tokens[own])
            for read in reads {
                let answer = try bed.ask("GET", "/v1/namespaces/\(own)\(read)", token: token)
                let text = String(decoding: answer.body, as: UTF8.self)
                #expect(answer.status == 200 && !text.contains(other), "\(own)\(read): \(text)")
                if read != "/functions/price/revisions" { #expect(text.contains(own), "\(own)\(read): \(text)") }
                #expect(try bed.ask("GET", "/v1/namespaces/\(other)\(read)", token: token).status == 403)
                // Not even who may see both sees one in the other, or either in a third.
                let third = try bed.ask("GET", "/v1/namespaces/green\(read)", token: bed.bed.token)
                let seen = String(decoding: third.body, as: UTF8.self)
                #expect(!seen.contains("crimson") && !seen.contains("azure"), "\(read): \(seen)")
            }
            let list = try bed.ask("GET", "/v1/namespaces/\(own)/tokens", token: bed.bed.token)
            #expect(!String(decoding: list.body, as: UTF8.self).contains(other))
        }
        bed.bed.server.stop()
    }

    @Test func aDeadLetterIsFoundInItsOwnNamespaceOnly() throws {
        let bed = try TokenBed()
        let crimson = try self.fill(bed, "crimson")
        let azure = try self.fill(bed, "azure")
        let list = try JSONValue.parse(try bed.ask("GET", "/v1/namespaces/crimson/dead-letters", token: crimson).body)
        let id = try #require(list["items"]?[0]?["id"]?.string)
        for (method, path) in [("GET", ""), ("POST", "/redrive"), ("DELETE", "")] {
            let body = method == "POST" ? "" : nil
            let answer = try bed.ask(
                method, "/v1/namespaces/azure/dead-letters/\(id)\(path)", token: azure, body: body)
            #expect(answer.status == 404, "\(method)")
        }
        #expect(try bed.ask("GET", "/v1/namespaces/crimson/dead-letters/\(id)", token: crimson).status == 200)
        bed.bed.server.stop()
    }

    @Test func aDeployIsCheckedDocumentByDocument() throws {
        let bed = try TokenBed()
        let token = try bed.token("crimson-deployer", ["deployer@crimson", "deployer@default"])
        func deploy(_ namespaces: [String]) throws -> HTTPResponse {
            let documents = namespaces.map {
                #"{"manifest":\#(self.manifest("Topic", "orders", $0, #"{"partitions":1}"#))}"#
            }
            return try bed.ask(
                "POST", "/v1/deployments", token: token, body: #"{"documents":[\#(documents.joined(separator: ","))]}"#)
        }
        #expect(try deploy(["crimson", "default"]).status == 200)
        let refused = try deploy(["crimson", "azure"])
        #expect(refused.status == 403 && String(decoding: refused.body, as: UTF8.self).contains("deployer@azure"))
        let put = try bed.ask(
            "PUT", "/v1/namespaces/crimson/topics/orders", token: token,
            body: self.manifest("Topic", "orders", "azure", #"{"partitions":1}"#))
        #expect(put.status == 400)
        bed.bed.server.stop()
    }

    @Test func thePositionOfAnothersTopicIsNoSecretThatLeaks() throws {
        let bed = try TokenBed()
        let crimson = try self.fill(bed, "crimson")
        _ = try self.fill(bed, "azure")
        func status(_ position: String) throws -> Int {
            try bed.ask(
                "GET", "/v1/namespaces/crimson/functions", token: crimson,
                headers: [HTTPHeader("Apus-Position", position)]
            ).status
        }
        #expect(try status("ns.crimson.orders/0/0") == 200)
        #expect(try status("ns.azure.orders/0/0") == 403)
        #expect(try status("ns.nobody.orders/0/0") == 403)
        bed.bed.server.stop()
    }
}

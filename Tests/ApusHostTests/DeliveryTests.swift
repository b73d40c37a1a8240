import ApusCore
import ApusEngine
import ApusHost
import ApusTestSupport
import Testing

@Suite struct DeliveryTests {
    @Test func eventsReachAWorkerAndTheirRepliesTheReplyTopic() async throws {
        let bed = try await Bed()
        let (input, output) = (try bed.topic("in"), try bed.topic("out"))
        try await bed.deploy(function(1, triggers: [trigger(1, on: input, replyTo: output)]))
        try await bed.publish(input, (0..<100).map { event("event \($0)", key: "key \($0 % 7)", [Attribute("traceparent", "00-ab-cd-01")]) })
        try await bed.until("100 replies") { bed.events(of: output).count == 100 }
        let replies = bed.events(of: output)
        #expect(Set(replies.map(\.text)) == Set((0..<100).map { "event \($0)" }))
        for reply in replies {
            let id = try #require(reply["id"])
            let offset = try #require(Int(id.split(separator: ":").last ?? ""))
            #expect(id == "function-1:in:0:\(offset)")
            #expect(reply.text == "event \(offset)")
            #expect(reply.key == Array("key \(offset % 7)".utf8))
            #expect(reply["source"] == "/apus/default/function-1")
            #expect(reply["type"] == "dev.apus.result")
            #expect(reply["datacontenttype"] == "application/octet-stream")
            #expect(reply["traceparent"] == "00-ab-cd-01")
            #expect(reply.header("apus-hops") == "1")
        }
        let statistics = await bed.statistics()
        #expect(statistics.succeeded == 100)
        #expect(statistics.replies == 100)
        #expect(statistics.running.count == 100)
        await bed.close()
    }
}

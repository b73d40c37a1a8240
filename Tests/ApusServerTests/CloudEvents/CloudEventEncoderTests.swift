import ApusCore
import ApusJSON
import Testing

@testable import ApusServer

@Suite struct CloudEventEncoderTests {
    private func json(_ event: Event, headers: Bool = false) -> String {
        String(
            decoding: CloudEventEncoder.json(event, partition: 3, offset: 5_000_000_000, headers: headers),
            as: UTF8.self)
    }

    private let context = [
        Attribute("id", "1"), Attribute("source", "/s"), Attribute("type", "t"),
        Attribute("time", "2026-01-31T12:00:00Z", kind: .timestamp),
    ]
    private let start = #"{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"2026-01-31T12:00:00Z""#

    @Test func writesAttributesByTheirTypesAndThePlaceWithAllItsBits() {
        let more = [
            Attribute("i", "-7", kind: .integer), Attribute("b", "true", kind: .boolean),
            Attribute("n", bytes: [0, 255], kind: .binary),
            Attribute("q", "\"\\\n"),
        ]
        #expect(
            self.json(Event(attributes: self.context + more, data: nil))
                == self.start + #","i":-7,"b":true,"n":"AP8=","q":"\"\\\n","apuspartition":3,"apusoffset":5000000000}"#)
    }

    @Test func writesOthersThanItsTypeAsText() {
        let more = [Attribute("i", "many", kind: .integer), Attribute("b", "yes", kind: .boolean)]
        #expect(
            self.json(Event(attributes: self.context + more, data: nil)).hasPrefix(
                self.start + #","i":"many","b":"yes","#))
    }

    @Test func givesARecordOfNoCloudEventsProducerWhatItLacks() {
        let record = Event(key: Array("k".utf8), data: [1], timestamp: Timestamp(milliseconds: 1_500))
        #expect(
            self.json(record)
                == #"{"specversion":"1.0","id":"partition:3/offset:5000000000","source":"/apus","type":"dev.apus.record","#
                + #""time":"1970-01-01T00:00:01.500Z","partitionkey":"k","apuspartition":3,"apusoffset":5000000000,"data_base64":"AQ=="}"#
        )
    }

    @Test(
        arguments: [
            ("k", nil, #""partitionkey":"k","apusp"#), ("k", "k", #""partitionkey":"k","apusp"#),
            ("k", "p", #""partitionkey":"p","apuskey":"aw==","apusp"#),
            ("", nil, #""apuskey":"","apusp"#), ("\n", nil, #""apuskey":"Cg==","apusp"#),
        ] as [(String, String?, String)]) func writesTheKeySoThatItIsReadBack(
            key: String, partitionKey: String?, expected: String
        ) throws
    {
        let attributes = self.context + (partitionKey.map { [Attribute("partitionkey", $0)] } ?? [])
        let text = self.json(Event(key: Array(key.utf8), attributes: attributes, data: nil))
        #expect(text.contains(expected), "\(text)")
        #expect(try Sent.structured(bytes: Array(text.utf8)).key == Array(key.utf8))
    }

    @Test func writesAKeyThatIsNoTextAsBase64() throws {
        let text = self.json(Event(key: [0xFF, 0], attributes: self.context, data: nil))
        #expect(text.contains(#""apuskey":"/wA=""#) && !text.contains("partitionkey"))
        #expect(try Sent.structured(bytes: Array(text.utf8)).key == [0xFF, 0])
        expectRefusal(.invalidEvent) { () throws(ApusError) in try Sent.structured(#","apuskey":"k""#) }
    }

    @Test func writesNoMemberTwice() {
        let own = ["data", "data_base64", "specversion", "apuspartition", "apusoffset", "apusheaders", "apuskey", "id"]
            .map { Attribute($0, "x") }
        let text = self.json(Event(attributes: self.context + own, data: Array("1".utf8)), headers: true)
        #expect(
            text == self.start + #","apuspartition":3,"apusoffset":5000000000,"apusheaders":{},"data_base64":"MQ=="}"#)
    }

    @Test func writesHeadersWhenAsked() {
        let event = Event(
            attributes: self.context + [Attribute("Trace", "1", kind: .header), Attribute("id", "2", kind: .header)],
            data: nil)
        #expect(self.json(event).hasPrefix(self.start + #","apuspartition""#))
        #expect(self.json(event, headers: true).hasSuffix(#","apusheaders":{"Trace":"1","id":"2"}}"#))
    }

    @Test(arguments: [
        ("application/json", #"{"a":1.10}"#, #""data":{"a":1.10}}"#),
        ("application/json", "{", #""data_base64":"ew=="}"#),
        ("application/a+json; charset=utf-8", "1e400", #""data":1e400}"#),
        ("text/plain; charset=utf-8", "a\"", #""data":"a\""}"#),
        ("text/json", "null", #""data":null}"#), ("application/xml", "<a/>", #""data_base64":"PGEvPg=="}"#),
        ("text/plain", "", #""data":""}"#),
    ]) func writesDataByItsType(type: String, data: String, expected: String) {
        let event = Event(attributes: self.context + [Attribute("datacontenttype", type)], data: Array(data.utf8))
        #expect(self.json(event).hasSuffix(expected))
    }

    @Test func writesBytesThatAreNoTextAsBase64() {
        let event = Event(attributes: [Attribute("datacontenttype", "text/plain")], data: [0xC0, 0xA0])
        #expect(self.json(event).hasSuffix(#""data_base64":"wKA="}"#))
    }

    @Test func writesDataOfTheGreatestDepthSoThatABatchOfItIsRead() throws {
        let depth = Limits.JSON.depth - 2
        for (levels, isJSON) in [(depth, true), (depth + 1, false)] {
            let data = String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
            let event = Event(
                attributes: self.context + [Attribute("datacontenttype", "application/json")], data: Array(data.utf8))
            let text = self.json(event)
            #expect(text.contains("data_base64") != isJSON)
            #expect(try Sent.batch("[\(text)]").map(\.data) == [Array(data.utf8)])
        }
    }

    @Test func leavesOutTheDataOfATombstone() throws {
        let text = self.json(Event(attributes: self.context, data: nil))
        #expect(!text.contains("data"))
        #expect(try Sent.structured(bytes: Array(text.utf8)).data == nil)
    }
}

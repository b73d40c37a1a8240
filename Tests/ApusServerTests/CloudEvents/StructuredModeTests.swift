import ApusCore
import ApusHTTP
import Testing

@testable import ApusServer

@Suite struct StructuredModeTests {
    @Test(arguments: [
        "1e400", "12345678901234567890123", "1.10", "-0", "1E+2", #"{"a" : 1,  "b":[ 1 ,2]}"#,
        #""\u00e9\ud83d\ude00é""#, "[]", "null", "true",
        #"{"a":1,"a":2}"#, #""\ud800""#,
    ]) func passesDataOnByteForByte(json: String) throws {
        let event = try Sent.structured(#", "data" : \#(json) "#)
        #expect(text(event.data) == json)
        #expect(event["datacontenttype"] == "application/json")
        #expect(text(try Sent.structured(#","datacontenttype":"application/vnd.a+json","data":\#(json)"#).data) == json)
    }

    @Test func takesTheCharactersOfTextThatIsNoJSON() throws {
        #expect(text(try Sent.structured(#","data":"a\n\u20ac","datacontenttype":"text/plain""#).data) == "a\n€")
        #expect(
            text(try Sent.structured(#","data":{"a":1.10},"datacontenttype":"application/xml""#).data) == #"{"a":1.10}"#
        )
        expectRefusal(.invalidJSON) { () throws(ApusError) in
            try Sent.structured(#","data":"\ud800","datacontenttype":"text/plain""#)
        }
    }

    @Test func decodesBinaryData() throws {
        let event = try Sent.structured(#","data_base64":"AP8=","datacontenttype":"image/png""#)
        #expect(event.data == [0, 255])
        #expect(event["datacontenttype"] == "image/png")
        let untyped = try Sent.structured(#","data_base64":"""#)
        #expect(untyped.data == [] && untyped["datacontenttype"] == nil)
    }

    @Test(arguments: [
        #""A""#, #""AP8""#, #""AP8=\n""#, #""AP_-""#, #""====""#, #""A===""#, "7", "[]", "true", #""=AAA""#,
    ])
    func refusesWhatIsNotBase64(value: String) {
        expectRefusal(.invalidEvent, value) { () throws(ApusError) in try Sent.structured(#","data_base64":\#(value)"#)
        }
    }

    @Test func refusesDataTwice() {
        expectRefusal(.invalidEvent) { () throws(ApusError) in try Sent.structured(#","data":1,"data_base64":"AP8=""#) }
        expectRefusal(.invalidEvent) { () throws(ApusError) in try Sent.structured(#","data_base64":"AP8=","data":1"#) }
    }

    @Test func isATombstoneWithoutData() throws {
        #expect(try Sent.structured().data == nil)
        #expect(try Sent.structured(#","data_base64":null"#).data == nil)
        #expect(try Sent.structured()["datacontenttype"] == nil)
        // Null is a JSON value like another.
        #expect(text(try Sent.structured(#","data":null"#).data) == "null")
    }

    @Test func leavesOutAttributesThatAreNull() throws {
        let event = try Sent.structured(#","subject":null,"time":null,"ext":null"#)
        #expect(event.attributes.map(\.name) == ["id", "source", "type"])
        expectRefusal(.invalidEvent) { () throws(ApusError) in
            try Sent.structured(bytes: Array(#"{"specversion":"1.0","id":null,"source":"/s","type":"t"}"#.utf8))
        }
    }

    @Test func keepsTheTypesOfAttributes() throws {
        let event = try Sent.structured(
            #","i":-2147483648,"j":2147483647,"yes":true,"no":false,"s":"x","time":"2026-01-31T12:00:00Z","dataschema":"a:b""#
        )
        #expect(
            event.attributes.dropFirst(3) == [
                Attribute("i", "-2147483648", kind: .integer), Attribute("j", "2147483647", kind: .integer),
                Attribute("yes", "true", kind: .boolean), Attribute("no", "false", kind: .boolean), Attribute("s", "x"),
                Attribute("time", "2026-01-31T12:00:00Z", kind: .timestamp), Attribute("dataschema", "a:b", kind: .uri),
            ])
    }

    @Test(arguments: [
        "2147483648", "-2147483649", "9223372036854775807", "18446744073709551615", "1.5", "1e2", "{}", "[]", "[1]",
    ])
    func refusesAttributesOfOtherTypes(value: String) {
        expectRefusal(.invalidEvent, value) { () throws(ApusError) in try Sent.structured(#","ext":\#(value)"#) }
    }

    @Test(arguments: ["id", "source", "type", "specversion"]) func refusesARequiredAttributeThatIsMissingEmptyOrNoText(
        name: String
    ) {
        let all = [("specversion", #""1.0""#), ("id", #""1""#), ("source", #""/s""#), ("type", #""t""#)]
        for value in [nil, #""""#, "1", "true", "null"] as [String?] {
            let members = all.compactMap { member, usual -> String? in
                guard member == name else { return #""\#(member)":\#(usual)"# }
                return value.map { #""\#(member)":\#($0)"# }
            }
            let body = "{\(members.joined(separator: ","))}"
            expectRefusal(.invalidEvent, body) { () throws(ApusError) in try Sent.structured(bytes: Array(body.utf8)) }
        }
    }

    @Test(arguments: ["Subject", "a-b", "a_b", "é", "", " a"]) func refusesNamesThatNoAttributeHas(name: String) {
        expectRefusal(.invalidEvent) { () throws(ApusError) in try Sent.structured(#","\#(name)":"x""#) }
    }

    @Test(arguments: [#"\u0000"#, #"\n"#, "\u{7F}", "\u{85}", "\u{FFFF}", #"\ufdd0"#])
    func refusesCharactersThatAreNotAllowed(character: String) {
        expectRefusal(.invalidEvent) { () throws(ApusError) in try Sent.structured(#","subject":"a\#(character)""#) }
    }

    @Test func refusesAMemberThatComesTwice() {
        expectRefusal(.invalidJSON) { () throws(ApusError) in try Sent.structured(#","a":1,"a":1"#) }
        expectRefusal(.invalidJSON) { () throws(ApusError) in try Sent.structured(#","a":1,"\u0061":2"#) }
        expectRefusal(.invalidJSON) { () throws(ApusError) in try Sent.structured(#","data":1,"data":2"#) }
        expectRefusal(.invalidJSON) { () throws(ApusError) in try Sent.structured(#","id":"2""#) }
    }

    @Test(arguments: ["", "[]", "1", "{", #"{"a":1}x"#, "{\"a\":\"\u{01}\"}", #"{"a":01}"#, "null"])
    func refusesWhatIsNoJSONObject(body: String) {
        expectRefusal(.invalidJSON) { () throws(ApusError) in try Sent.structured(bytes: Array(body.utf8)) }
    }

    @Test func refusesTextThatIsNotUTF8AndNestingWithoutEnd() {
        expectRefusal(.invalidJSON) { () throws(ApusError) in
            try Sent.structured(
                bytes: Array(#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":""#.utf8) + [0xC0, 0xA0]
                    + Array(#""}"#.utf8))
        }
        let deep = String(repeating: "[", count: 100_000)
        expectRefusal(.invalidJSON) { () throws(ApusError) in try Sent.structured(#","data":\#(deep)"#) }
    }

    @Test func takesTheKeyFromItsHeaderBeforePartitionkey() throws {
        #expect(text(try Sent.structured(#","partitionkey":"p""#).key) == "p")
        #expect(text(try Sent.structured(#","partitionkey":"p""#, key: "k").key) == "k")
        #expect(try Sent.structured().key == nil)
    }

    @Test func forgetsWhereAnEventLayThatIsSentAgain() throws {
        let event = try Sent.structured(#","apuspartition":3,"apusoffset":5000000000,"apusheaders":{"a":"b"}"#)
        #expect(event.attributes.map(\.name) == ["id", "source", "type"])
    }

    // MARK: bounds

    @Test func takesAnEventOfTheGreatestSizeAndNoneOfOneByteMore() throws {
        let empty = EventBlock.size(of: try Sent.structured(#","data":"""#)) - 2
        let most = Limits.eventBytes - empty - 2
        let event = try Sent.structured(#","data":"\#(String(repeating: "x", count: most))""#)
        #expect(EventBlock.size(of: event) == Limits.eventBytes)
        expectRefusal(.eventTooLarge) { () throws(ApusError) in
            try Sent.structured(#","data":"\#(String(repeating: "x", count: most + 1))""#).key as Any
        }
    }

    @Test func boundsTheNumberAndTheLengthOfAttributes() throws {
        func extensions(_ count: Int) -> String { (0..<count).map { #","x\#($0)":"1""# }.joined() }
        #expect(
            try Sent.structured(extensions(Limits.attributesPerEvent - 3)).attributes.count == Limits.attributesPerEvent
        )
        expectRefusal(.eventTooLarge) { () throws(ApusError) in
            try Sent.structured(extensions(Limits.attributesPerEvent - 2)).key as Any
        }
        let name = String(repeating: "n", count: 255)
        #expect(try Sent.structured(#","\#(name)":"1""#)[name] == "1")
        expectRefusal(.eventTooLarge) { () throws(ApusError) in try Sent.structured(#","\#(name)n":"1""#) }
        let value = String(repeating: "v", count: 65_000)
        #expect(try Sent.structured(#","a":"\#(value)""#)["a"] == value)
        expectRefusal(.eventTooLarge) { () throws(ApusError) in
            try Sent.structured(#","a":"\#(value)vvvvvvvvv","b":"\#(value)""#).key as Any
        }
        expectRefusal(.eventTooLarge) { () throws(ApusError) in
            try Sent.structured(key: String(repeating: "k", count: Limits.keyBytes + 1))
        }
    }
}

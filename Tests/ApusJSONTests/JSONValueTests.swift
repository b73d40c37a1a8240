import ApusCore
import Testing

@testable import ApusJSON

@Suite struct JSONValueTests {
    @Test func everyKindIsReadAndWrittenBack() throws {
        let text =
            #"{"a":null,"b":true,"c":-5,"d":18446744073709551615,"e":1.5,"f":"x\n\"\\é","g":[1,[],{}],"h":{"i":false}}"#
        let value = try JSONValue.parse(text)
        #expect(value["a"]?.isNull == true)
        #expect(value["b"]?.boolean == true)
        #expect(value["c"]?.integer == -5)
        #expect(value["c"]?.unsigned == nil)
        #expect(value["d"]?.unsigned == .max)
        #expect(value["d"]?.integer == nil)
        #expect(value["e"]?.double == 1.5)
        #expect(value["f"]?.string == "x\n\"\\é")
        #expect(value["g"]?[0]?.int == 1)
        #expect(value["g"]?[3] == nil)
        #expect(value["h"]?["i"]?.boolean == false)
        #expect(value["z"] == nil)
        #expect(String(decoding: value.encoded(), as: UTF8.self) == text)
    }

    @Test func literalsBuildTrees() {
        let value: JSONValue = ["name": "a", "sizes": [1, 2.5, nil, true], "empty": [:]]
        #expect(
            String(decoding: value.encoded(), as: UTF8.self) == #"{"name":"a","sizes":[1,2.5,null,true],"empty":{}}"#)
        #expect(JSONValue.number(UInt64.max) == .unsigned(.max))
        #expect(JSONValue.number(7) == .integer(7))
    }

    @Test func membersAreSetReplacedAndRemovedInPlace() {
        var value: JSONValue = ["a": 1, "b": 2]
        value["a"] = 3
        value["c"] = 4
        value["b"] = nil
        #expect(String(decoding: value.encoded(), as: UTF8.self) == #"{"a":3,"c":4}"#)
        var other: JSONValue = nil
        other["x"] = "y"
        #expect(other == ["x": "y"])
    }

    @Test func duplicateNamesAreRefusedUnlessAskedOtherwise() throws {
        #expect(throws: ApusError.self) { try JSONValue.parse(#"{"a":1,"b":{"c":1,"\u0063":2}}"#) }
        #expect(try JSONValue.parse(#"{"a":1,"b":0,"a":2}"#, refusesDuplicates: false) == ["a": 2, "b": 0])
    }

    @Test func duplicatesAreFoundInObjectsOfAnySize() throws {
        for count in 1...40 {
            let members = (0..<count).map { "\"m\($0)\":\($0)" }.joined(separator: ",")
            #expect(try JSONValue.parse("{\(members)}").object?.count == count)
            for index in 0..<count {
                let text = "{\(members),\"m\(index)\":-1}"
                #expect(throws: ApusError.self) { try JSONValue.parse(text) }
                let value = try JSONValue.parse(text, refusesDuplicates: false)
                #expect(value["m\(index)"]?.integer == -1)
                #expect(value.object?.count == count)
            }
        }
    }

    @Test func depthIsBoundedAtTheLimit() throws {
        let depth = Limits.JSON.depth
        func nested(_ count: Int) -> String {
            String(repeating: "[", count: count) + String(repeating: "]", count: count)
        }
        #expect(throws: Never.self) { try JSONValue.parse(nested(depth)) }
        #expect(throws: ApusError.self) { try JSONValue.parse(nested(depth + 1)) }
        #expect(throws: ApusError.self) { try JSONValue.parse(nested(100_000)) }
    }

    @Test(arguments: [
        ("", "line 1, column 1: expected a value, found the end"),
        ("{\"a\": }", "line 1, column 7: expected a value, found `}`"),
        ("{\n  \"é\" 1}", "line 2, column 7: expected `:`, found `1`"),
        ("[1, 2", "line 1, column 6: expected `,` or `]`, found the end"),
        ("nul", "line 1, column 4: expected `null`, found the end"),
        ("{} x", "line 1, column 4: expected the end of the text, found `x`"),
        ("\"a\nb\"", "line 1, column 3: expected an escape such as \\n for a control character, found the byte 0xa"),
        ("01", "line 1, column 2: expected the end of the text, found `1`"),
    ])
    func errorsSayWhereAndWhatWasExpected(text: String, expected: String) {
        do throws(ApusError) {
            _ = try JSONValue.parse(text)
            Issue.record("\(text) was accepted")
        } catch {
            #expect(error.code == .invalidJSON)
            #expect(error.message.contains(expected), "\(error.message)")
        }
    }

    @Test func numbersTooLargeForUsAreRefusedWithAReason() {
        for text in ["1e400", "123456789012345678901234567890", "[1, -9223372036854775809]"] {
            do throws(ApusError) {
                _ = try JSONValue.parse(text)
                Issue.record("\(text) was accepted")
            } catch {
                #expect(error.message.contains("64 bits"), "\(error.message)")
            }
        }
    }

    @Test func doublesReadBackAsTheSameNumber() throws {
        var generator = SplitMix(seed: 11)
        for _ in 0..<20_000 {
            let number = Double(bitPattern: generator.next())
            guard number.isFinite else { continue }
            let read = try JSONValue.parse(JSONValue.double(number).encoded()).double
            #expect(read?.bitPattern == number.bitPattern, "\(number)")
        }
        #expect(JSONValue.double(.nan).encoded() == Array("null".utf8))
    }

    @Test func integersAreWrittenAtTheirBounds() {
        var writer = JSONWriter()
        writer.beginArray()
        writer.integer(Int64.min)
        writer.integer(UInt64.max)
        writer.integer(0)
        writer.integer(Int8(-128))
        writer.endArray()
        #expect(String(decoding: writer.bytes, as: UTF8.self) == "[-9223372036854775808,18446744073709551615,0,-128]")
    }

    @Test func anyTextSurvivesAsAString() throws {
        let all = String((0...0x2FF).compactMap { UnicodeScalar($0) }.map(Character.init)) + "\u{10FFFF}\u{FFFD}😀"
        #expect(try JSONValue.parse(JSONValue.string(all).encoded()).string == all)
    }

    @Test func peopleGetAMemberALine() throws {
        let value: JSONValue = ["a": 1, "b": [1, 2], "c": [["d": []]], "e": [:]]
        #expect(
            value.pretty
                == "{\n  \"a\": 1,\n  \"b\": [1, 2],\n  \"c\": [\n    {\n      \"d\": []\n    }\n  ],\n  \"e\": {}\n}")
        #expect(try JSONValue.parse(value.pretty) == value)
    }

    @Test func theWriterSeparatesLinesOfNDJSON() {
        var writer = JSONWriter()
        for index in 0..<2 {
            writer.beginObject()
            writer.member("i", index)
            writer.member("ok", true)
            writer.member("v", ["x"])
            writer.key("raw")
            writer.raw(Array("1e400".utf8))
            writer.endObject()
            writer.newline()
        }
        #expect(
            String(decoding: writer.bytes, as: UTF8.self)
                == "{\"i\":0,\"ok\":true,\"v\":[\"x\"],\"raw\":1e400}\n{\"i\":1,\"ok\":true,\"v\":[\"x\"],\"raw\":1e400}\n"
        )
    }
}

@Suite struct JSONViewTests {
    @Test func aViewReadsWithoutBuilding() throws {
        let text = Array(
            #"{"id":"a","n":-3,"u":9223372036854775808,"d":2.5,"list":[1,{"x":true},null],"x":"last"}"#.utf8)
        let parser = JSONParser()
        try parser.parse(text) { view in
            #expect(view.kind == .object)
            #expect(view["id"]?.string == "a")
            #expect(view["n"]?.integer == -3)
            #expect(view["n"]?.double == -3)
            #expect(view["u"]?.unsigned == 9_223_372_036_854_775_808)
            #expect(view["u"]?.kind == .unsigned)
            #expect(view["d"]?.double == 2.5)
            #expect(view["list"]?[1]?["x"]?.boolean == true)
            #expect(view["list"]?[2]?.isNull == true)
            #expect(view["list"]?[3] == nil)
            #expect(view["x"]?.string == "last")
            #expect(view["missing"] == nil)
            #expect(view.members.map(\.name) == ["id", "n", "u", "d", "list", "x"])
            #expect(view["list"]?.elements.map(\.kind) == [.integer, .object, .null])
            #expect(view["id"]?.elements.map(\.kind) == [])
            #expect(view["id"]?["x"] == nil)
        }
        // The parser serves the next text.
        try parser.parse(Array("[]".utf8)) { view in #expect(view.kind == .array) }
    }

    @Test func whatTheClosureThrowsComesOut() {
        let parser = JSONParser()
        #expect {
            try parser.parse(Array("1".utf8)) { (_) throws(ApusError) -> Int in throw ApusError(.conflict, "mine") }
        } throws: { ($0 as? ApusError)?.code == .conflict }
    }
}

/// A small seeded generator, so that a failing run can be repeated.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    init(seed: UInt64) { self.state = seed }
    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

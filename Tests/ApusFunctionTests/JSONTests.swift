import ApusTestSupport
import Testing

@testable import ApusFunction

@Suite struct JSONTests {
    private struct Everything: Codable, Equatable {
        enum Kind: String, Codable { case small, large }
        enum Shape: Codable, Equatable { case circle(radius: Double), square(Int), none }
        struct Inner: Codable, Equatable { var list: [Int?] }
        var bool: Bool
        var int: Int
        var small: Int8
        var big: UInt64
        var double: Double
        var float: Float
        var text: String
        var kind: Kind
        var shapes: [Shape]
        var inner: [String: Inner]
        var missing: String?
        var any: JSON
    }

    @Test func codableTypesComeBack() throws {
        let value = Everything(
            bool: true, int: -5, small: -128, big: .max, double: 1e300, float: 0.1, text: "a\"\\\n\u{1}é😀",
            kind: .large,
            shapes: [.circle(radius: 1.5), .square(3), .none], inner: ["x": .init(list: [1, nil, 3])], missing: nil,
            any: ["k": [1, 2.5, nil, true]])
        let bytes = try JSON.encode(value)
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(text.contains(#""big":18446744073709551615"#) && text.contains(#""float":0.1"#), "\(text)")
        #expect(!text.contains("missing"))
        #expect(try JSON.decode(Everything.self, from: JSON(parsing: bytes)) == value)
    }

    private final class Derived: Codable {
        var own = 2
        var nested: [[String: Bool]] = [["a": true]]
        init() {}
    }

    @Test func containersNest() throws {
        #expect(String(decoding: try JSON.encode(Derived()), as: UTF8.self) == #"{"own":2,"nested":[{"a":true}]}"#)
        #expect(String(decoding: try JSON.encode([String: Int]()), as: UTF8.self) == "{}")
        #expect(String(decoding: try JSON.encode([Int]()), as: UTF8.self) == "[]")
        #expect(String(decoding: try JSON.encode("x"), as: UTF8.self) == #""x""#)
        #expect(String(decoding: try JSON.encode(Int?.none), as: UTF8.self) == "null")
        #expect(throws: EncodingError.self) { try JSON.encode([Double.nan]) }
    }

    @Test(arguments: [
        "", " ", "{", "[", "[1,]", "{\"a\":1,}", "{a:1}", "nul", "truee", "01", "-", "1.", ".5", "1e", "+1", "\"",
        "\"\\x\"",
        "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\u{1}\"", "[1] 2", "1e999", "'a'", "{\"a\" 1}", "[1 2]", "NaN",
        "\"\\u12g4\"",
    ])
    func textThatIsNoJSONIsRefused(text: String) {
        #expect(throws: JSONSyntaxError.self) { try JSON(parsing: text) }
    }

    @Test func textIsReadAsItIs() throws {
        #expect(try JSON(parsing: " [1 , -0, 2.50,1e2 ] ") == [1, 0, 2.5, 100.0])
        #expect(try JSON(parsing: #""\u00e9\ud83d\ude00\/\b""#) == "é😀/\u{8}")
        #expect(try JSON(parsing: #"{"a":1,"a":2}"#)["a"] == 2)
        #expect(try JSON(parsing: "18446744073709551615") == .unsigned(.max))
        #expect(try JSON(parsing: "18446744073709551616") == .number(18446744073709551616))
        #expect(throws: JSONSyntaxError.self) { try JSON(parsing: [UInt8(ascii: "\""), 0xFF, UInt8(ascii: "\"")]) }
    }

    @Test func depthIsBounded() throws {
        let deepest = String(repeating: "[", count: 128) + String(repeating: "]", count: 128)
        #expect(throws: Never.self) { try JSON(parsing: deepest) }
        #expect(throws: JSONSyntaxError.self) { try JSON(parsing: "[" + deepest + "]") }
    }

    @Test func damagedTextNeverTraps() {
        var random = SeededGenerator(seed: 20_260_101)
        let seed = Array(#"{"a":[1,2.5e-3,"x\u00e9\n",true,null,{"b":[]}]}"#.utf8)
        for _ in 0..<5_000 {
            var bytes = seed
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            if let value = try? JSON(parsing: bytes) {
                #expect((try? JSON(parsing: value.encoded)) == value)
            }
        }
    }
}

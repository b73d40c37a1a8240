import ApusCore
import ApusJSON
import Testing

@testable import ApusEngine
@testable import ApusManifest

/// What the conformance suite leaves open.
@Suite struct ExpressionTests {
    private let event = Event(
        key: Array("customer-7".utf8),
        attributes: [
            Attribute("id", "1"), Attribute("source", "/s"), Attribute("type", "order.created"),
            Attribute("count", "5", kind: .integer), Attribute("flag", "true", kind: .boolean), Attribute("hop", "12"),
            Attribute("x-tenant", "a", kind: .header), Attribute("datacontenttype", "application/json; charset=utf-8"),
        ],
        data: Array(
            #"{"total": 12, "name": "Zoë \"Z\"", "paid": true, "none": null, "price": 1.5, "items": [{"sku": "a-1"}, {"sku": "b-2"}], "odd name": "x"}"#
                .utf8))

    private func value(_ text: String) throws -> JSONValue {
        let result = try ExpressionResult.of(text, self.event)
        #expect(result.error == nil, "\(text)")
        return result.value
    }

    private func error(_ text: String, of event: Event? = nil) throws -> ExpressionResult {
        try ExpressionResult.of(text, event ?? self.event)
    }

    @Test func operatorsBindInTheirOrder() throws {
        #expect(try self.value("1 + 2 * 3 = 7 AND 10 - 2 - 3 = 5") == true)
        #expect(try self.value("TRUE OR FALSE AND FALSE") == true)
        #expect(try self.value("FALSE AND FALSE OR TRUE") == true)
        #expect(try self.value("TRUE XOR TRUE OR TRUE") == false)
        #expect(try self.value("NOT FALSE = FALSE") == false)
        #expect(try self.value("-2 + 3") == 1)
        #expect(try self.value("7-2") == 5)
        #expect(try self.value("-7 / 2") == -3)
        #expect(try self.value("-7 % 2") == -1)
        #expect(try self.value("type LIKE 'order.%' = TRUE") == true)
        #expect(try self.value("'b' NOT IN ('a', 'c') AND type NOT LIKE 'x%'") == true)
    }

    @Test func integersOverflowIntoAnErrorAndZero() throws {
        for text in [
            "2147483647 + 1", "-2147483648 - 1", "65536 * 65536", "-2147483648 / -1", "-(-2147483648)", "1 % 0",
        ] {
            #expect(try self.error(text) == ExpressionResult(value: 0, error: .math), "\(text)")
        }
        #expect(try self.value("-2147483648 % -1") == 0)
        #expect(try self.error("2147483648").error == .parse)
        #expect(try self.error("INT('2147483648')") == ExpressionResult(value: 0, error: .cast))
        #expect(try self.value("INT('-2147483648')") == -2_147_483_648)
        #expect(try self.value("INT('+7')") == 7)
    }

    @Test func textsAreCharactersNotBytes() throws {
        #expect(try self.value("LENGTH('Zoë😀')") == 4)
        #expect(try self.value("LEFT('Zoë😀', 3)") == "Zoë")
        #expect(try self.value("RIGHT('Zoë😀', 2)") == "ë😀")
        #expect(try self.value("SUBSTRING('Zoë😀', 3, 1)") == "ë")
        #expect(try self.value("SUBSTRING('abc', -2, 100)") == "bc")
        #expect(try self.value("UPPER('straße ë')") == "STRASSE Ë")
        #expect(try self.value("TRIM('\u{2003} a \t')") == "a")
        #expect(try self.value("'Zoë😀' LIKE '__ë_'") == true)
        #expect(try self.value("CONCAT(1, TRUE, 'x') = '1truex'") == true)
        #expect(try self.error("SUBSTRING('abc', 1, -1)") == ExpressionResult(value: "", error: .functionEvaluation))
    }

    @Test func anErrorIsTheFirstOneAndMakesAZeroOfItsType() throws {
        #expect(try self.error("CONCAT(missing, 'a')") == ExpressionResult(value: "", error: .missingAttribute))
        #expect(try self.error("LENGTH(LEFT('abc', -1))") == ExpressionResult(value: 0, error: .functionEvaluation))
        #expect(try self.error("(1 / 0) + missing") == ExpressionResult(value: 0, error: .math))
        #expect(try self.error("'x' IN (missing)") == ExpressionResult(value: false, error: .missingAttribute))
        #expect(try self.error("NOSUCH(1) = 1") == ExpressionResult(value: false, error: .missingFunction))
        #expect(try self.error("type = 5") == ExpressionResult(value: false, error: .cast))
        #expect(try self.error("1 IN ('a')") == ExpressionResult(value: false, error: .cast))
    }

    @Test func attributesHaveTheirTypes() throws {
        #expect(try self.value("count") == 5)
        #expect(try self.value("flag") == true)
        #expect(try self.value("specversion = '1.0' AND EXISTS specversion") == true)
        #expect(try self.value("hop < 13 AND count + 1 = 6") == true)
    }

    @Test func keysHeadersAndDataAreValuesToo() throws {
        #expect(try self.value("key") == "customer-7")
        #expect(try self.value("headers[\"x-tenant\"]") == "a")
        #expect(try self.value("EXISTS headers['x-other']") == false)
        #expect(try self.error("headers['x-other'] = 'a'").error == .missingAttribute)
        #expect(try self.value("data.total + 1") == 13)
        #expect(try self.value("data.paid") == true)
        #expect(try self.value("data.name") == #"Zoë "Z""#)
        #expect(try self.value("data.items[1].sku LIKE 'b-%'") == true)
        #expect(try self.value("data['odd name']") == "x")
        #expect(try self.value("data.price") == "1.5")
        #expect(try self.value("EXISTS data.none OR EXISTS data.items[2] OR EXISTS data.total.x") == false)
        #expect(try self.error("data.nothing = 1").error == .missingAttribute)
        #expect(try self.error("data").error == .parse)
        // An attribute of that name is what CESQL means by it.
        var event = self.event
        event.attributes.append(Attribute("key", "mine"))
        #expect(try ExpressionResult.of("key", event).value == "mine")
        event.key = nil
        event["key"] = nil
        #expect(try ExpressionResult.of("EXISTS key", event).value == false)
    }

    @Test func dataThatIsNoJSONHasNoValues() throws {
        for (type, data) in [
            ("text/plain", #"{"total": 1}"#), ("application/json", #"{"total": 1"#), ("application/json", ""),
            ("application/json", String(repeating: "[", count: 100) + String(repeating: "]", count: 100)),
        ] {
            var event = self.event
            event["datacontenttype"] = type
            event.data = Array(data.utf8)
            #expect(try self.error("data.total = 1", of: event).error == .missingAttribute, "\(type) \(data)")
        }
        for type in ["application/vnd.a+json", "text/json", nil] {
            var event = self.event
            event["datacontenttype"] = type
            #expect(try ExpressionResult.of("data.total", event).value == 12)
        }
        // Of two members of one name the later counts, whatever the earlier held.
        var event = self.event
        event.data = Array(#"{"a": {"b": 1}, "a": {}, "c": 1, "c": 2}"#.utf8)
        #expect(try ExpressionResult.of("EXISTS data.a.b", event).value == false)
        #expect(try ExpressionResult.of("data.c", event).value == 2)
    }

    @Test(arguments: [
        "", "1 +", "(1", "a b", "'x", "x LIKE y", "x IN ()", "x IN (1", "NOT", "EXISTS", "EXISTS 'a'", "AND", "a.b",
        "headers[x]", "headers['x'", "data.", "data[", "data[x]", "F1(2)", "a_b", "a == b", "a ! b", "'a''b'", "#",
        "TRUE FALSE", "x NOT 1", "ABC(", "5abc(1)", "+a",
    ])
    func whatIsNoExpressionIsAParseError(text: String) throws {
        #expect(try self.error(text) == ExpressionResult(value: false, error: .parse))
    }

    @Test func whatNestsTooDeepOrSaysTooMuchIsRefused() throws {
        let depth = Limits.Filter.depth
        func nots(_ count: Int) -> String { String(repeating: "NOT ", count: count) + "TRUE" }
        #expect(try self.error(nots(depth - 1)).error == nil)
        #expect(try self.error(nots(depth)).error == .parse)
        #expect(
            try self.error(String(repeating: "(", count: depth + 1) + "1" + String(repeating: ")", count: depth + 1))
                .error == .parse)
        func ors(_ count: Int) -> String { Array(repeating: "FALSE", count: count).joined(separator: " OR ") }
        #expect(try self.error(ors(depth)).error == nil)
        #expect(try self.error(ors(depth + 1)).error == .parse)
        func list(_ count: Int) -> String {
            "1 IN (" + Array(repeating: "2", count: count).joined(separator: ",") + ")"
        }
        #expect(try self.error(list(Limits.Filter.nodes - 2)).error == nil)
        #expect(try self.error(list(Limits.Filter.nodes - 1)).error == .parse)
        let long = "'" + String(repeating: "x", count: Limits.Filter.expressionBytes - 2) + "'"
        #expect(try self.error(long).error == nil)
        #expect(try self.error(long + " ").error == .parse)
        let path = "data" + String(repeating: ".a", count: Limits.Filter.pathSteps)
        #expect(try self.error("EXISTS \(path)").error == nil)
        #expect(try self.error("EXISTS \(path).a").error == .parse)
    }

    @Test func evaluationStopsAtItsBounds() throws {
        var event = self.event
        event["big"] = String(repeating: "x", count: 60_000)
        let four = "CONCAT(big, big, big, big)"
        #expect(try self.error("LENGTH(\(four))", of: event).value == 240_000)
        #expect(try self.error("LENGTH(CONCAT(big, big, big, big, big))", of: event).error == .generic)
        let looks = (0..<80).map { _ in "big LIKE '%y%'" }.joined(separator: " OR ")
        #expect(try self.error(looks, of: event).error == .generic)
        let few = (0..<60).map { _ in "big LIKE '%y%'" }.joined(separator: " OR ")
        #expect(try self.error(few, of: event).error == nil)
    }
}

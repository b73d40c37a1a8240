import ApusCore
import ApusJSON
import ApusSchema
import Testing

/// What a value's check says, each violation as one line.
func complaints(_ schema: String, _ value: String) throws -> [String] {
    let compiled = try CompiledSchema(parsing: Array(schema.utf8))
    return try JSONParser().parse(Array(value.utf8)) { compiled.check($0) }.map { "\($0)" }
}

/// Why a schema is refused; nil when it is not.
func refusal(_ schema: String) -> String? {
    do throws(SchemaError) {
        _ = try CompiledSchema(parsing: Array(schema.utf8))
        return nil
    } catch {
        return error.description
    }
}

@Suite struct CompiledSchemaTests {
    static let weather = """
        {"type": "object", "required": ["city", "days"], "additionalProperties": false, "properties": {
          "city": {"type": "string", "minLength": 2, "maxLength": 5},
          "days": {"type": "integer", "minimum": 1, "maximum": 14},
          "unit": {"enum": ["c", "f"]},
          "hours": {"type": "array", "items": {"type": "integer"}, "uniqueItems": true, "maxItems": 3}}}
        """

    @Test(arguments: [
        (#"{"city": "Bern", "days": 3}"#, []),
        (#"{"city": "Bern", "days": 3.0, "unit": "c", "hours": [1, 2]}"#, []),
        (#"{"days": 3}"#, [#"the value must have the property "city", which is missing"#]),
        (#"{}"#, [#"the value must have the properties "city", "days", which are missing"#]),
        (#"{"city": 5, "days": 3}"#, ["/city must be string, but is the number 5"]),
        (
            #"{"city": "B", "days": 99, "unit": "k"}"#,
            [
                "/city must have at least 2 characters, but has 1", "/days must be at most 14, but is 99",
                #"/unit must be one of "c", "f", but is the string "k""#,
            ]
        ),
        (
            #"{"city": "Bern", "days": 3, "town": 1}"#,
            [
                #"the value must not have the property "town"; known are "city", "days", "unit", "hours""#
            ]
        ),
        (
            #"{"city": "Bern", "days": 3, "hours": [1, "x", 1]}"#,
            [
                #"/hours/1 must be integer, but is the string "x""#,
                "/hours must have no element twice, but the elements 0 and 2 are equal",
            ]
        ),
    ])
    func saysWhatToPutRight(value: String, expected: [String]) throws {
        #expect(try complaints(Self.weather, value) == expected)
    }

    @Test func saysWhatEachAlternativeHasAgainstTheValue() throws {
        #expect(
            try complaints(#"{"anyOf": [{"type": "string"}, {"properties": {"a": {"type": "null"}}}]}"#, #"{"a": 1}"#)
                == [
                    "the value must fit one of 2 alternatives, but fits none: (1) the value must be string, but is an object,"
                        + " (2) /a must be null, but is the number 1"
                ])
        #expect(
            try complaints(#"{"oneOf": [{"type": "integer"}, {"minimum": 2}]}"#, "3")
                == ["the value must fit exactly one of 2 alternatives, but fits number 1 and 2"])
    }

    @Test func pointsWithEscapedNames() throws {
        #expect(
            try complaints(#"{"additionalProperties": {"type": "null"}}"#, #"{"a/b~c": 1}"#)
                == ["/a~1b~0c must be null, but is the number 1"])
    }

    @Test func comparesStringsByTheirBytesAndCountsCodePoints() throws {
        // é in one code point, and as e with an accent.
        #expect(try !complaints(#"{"const": "\u00e9"}"#, #""e\u0301""#).isEmpty)
        #expect(
            try complaints(#"{"maxLength": 1}"#, #""e\u0301""#) == [
                "the value must have at most 1 characters, but has 2"
            ])
        #expect(try complaints(#"{"maxLength": 1, "minLength": 1}"#, #""😀""#) == [])
        #expect(try complaints(#"{"required": ["\u00e9"], "properties": {"e\u0301": false}}"#, #"{"\u00e9": 1}"#) == [])
    }

    @Test(
        arguments: [
            ("0.1", "0.3", true), ("0.01", "19.99", true), ("0.01", "19.999", false), ("1e-8", "12345.00000001", true),
            ("3", "9007199254740993", true), ("1e300", "1e308", true), ("1e308", "1e300", false),
            ("0.5", "1e308", true),
            ("5e-324", "1e308", true), ("7", "18446744073709551615", false), ("5", "18446744073709551615", true),
            ("2.5", "-5", true), ("1e19", "0", true), ("-1", "9", nil), ("0", "9", nil),
        ] as [(String, String, Bool?)])
    func dividesShortestDecimals(step: String, value: String, fits: Bool?) throws {
        guard let fits else {
            #expect(refusal("{\"multipleOf\": \(step)}") != nil)
            return
        }
        #expect(try complaints("{\"multipleOf\": \(step)}", value).isEmpty == fits)
    }

    @Test(arguments: [
        ("minimum", "9007199254740993", "9007199254740992", false), ("maximum", "9223372036854775807", "9.3e18", false),
        ("exclusiveMaximum", "9223372036854775808.0", "9223372036854775807", true), ("minimum", "-0.5", "0", true),
        ("const", "1.0", "1", true), ("const", "9007199254740993", "9007199254740992.0", false),
        ("const", "18446744073709551615", "18446744073709551615", true),
        ("exclusiveMinimum", "1e19", "18446744073709551615", true),
    ])
    func comparesIntegersAndDoublesExactly(keyword: String, bound: String, value: String, fits: Bool) throws {
        #expect(try complaints("{\"\(keyword)\": \(bound)}", value).isEmpty == fits)
    }

    @Test(arguments: [
        ("7", "is neither an object nor a Boolean"),
        (
            "{",
            "is no JSON: The JSON is malformed at line 1, column 2: expected a name in quotes or `}`, found the end."
        ),
        (#"{"type": "text"}"#, "/type: must be one of null, boolean, integer, number, string, array, object"),
        (
            #"{"properties": {"a": {"required": true}}}"#,
            "/properties/a/required: must be an array of the required properties' names, beside `properties`"
        ),
        (#"{"items": [{}]}"#, "/items: must be one schema; a list of them is called `prefixItems` since 2020-12"),
        (
            #"{"minimum": 1, "exclusiveMinimum": true}"#,
            "/exclusiveMinimum: must be a number; the Boolean form ended with draft-04"
        ),
        (
            ##"{"properties": {"a": {"$ref": "#/$defs/b"}}}"##,
            "/properties/a/$ref: refers to `#/$defs/b`, where there is nothing"
        ),
        (
            #"{"$ref": "https://example.com/other.json"}"#,
            "/$ref: refers to `https://example.com/other.json`, which is not in this schema; nothing is fetched: put it under $defs"
        ),
        (
            #"{"$schema": "http://json-schema.org/draft-04/schema#"}"#,
            "/$schema: is `http://json-schema.org/draft-04/schema#`; known are `https://json-schema.org/draft/2020-12/schema` and `http://json-schema.org/draft-07/schema`"
        ),
        (
            #"{"pattern": "(?=a)"}"#,
            "/pattern: the pattern looks ahead with `(?=…)`, which is not matched here; say it with `not`, `allOf` or a plain pattern (at character 1)"
        ),
        (
            #"{"$defs": {"a": {"pattern": "["}}}"#,
            "/$defs/a/pattern: the pattern has a `[` without its `]` (at character 2)"
        ),
        (##"{"anyOf": [{"type": "string"}, {"$ref": "#"}]}"##, "refers to itself without going into the value"),
        (#"{"type": "string", "type": "null"}"#, #"has two members "type"; keep one of them"#),
    ])
    func isRefusedWithAReason(schema: String, reason: String) {
        #expect(refusal(schema)?.hasSuffix(reason) == true, "\(refusal(schema) ?? "accepted")")
    }

    @Test func followsReferencesThatGoIntoTheValue() throws {
        let tree = ##"{"$ref": "#/$defs/n", "$defs": {"n": {"type": "array", "items": {"$ref": "#/$defs/n"}}}}"##
        #expect(try complaints(tree, "[[], [[[]]]]") == [])
        #expect(try complaints(tree, "[[], [[1]]]") == ["/1/0/0 must be array, but is the number 1"])
    }

    @Test func refersToTheLibraryAndToMetaschemas() throws {
        var library = SchemaLibrary()
        library.add(Array(#"{"type": "integer"}"#.utf8), at: "https://example.com/whole.json")
        let schema = try CompiledSchema(
            parsing: Array(#"{"$id": "https://example.com/a.json", "$ref": "whole.json"}"#.utf8), library: library)
        #expect(try JSONParser().parse(Array("1.5".utf8)) { !schema.accepts($0) })
        for dialect in SchemaDialect.allCases {
            #expect(try !complaints("{\"$ref\": \"\(dialect.rawValue)\"}", #"{"type": 1}"#).isEmpty)
            #expect(try complaints("{\"$ref\": \"\(dialect.rawValue)\"}", Self.weather) == [])
        }
    }
}

@Suite struct SchemaBoundsTests {
    @Test func aTextBeyondItsBoundIsRefused() {
        let note = String(repeating: "x", count: Limits.Schema.textBytes - 20)
        #expect(refusal("{\"description\": \"\(note)\"}") == nil)
        #expect(refusal("{\"description\": \"\(note)xxx\"}")?.contains("at most \(Limits.Schema.textBytes)") == true)
    }

    @Test func depthIsBounded() {
        func nested(_ depth: Int) -> String {
            String(repeating: "{\"not\": ", count: depth) + "true" + String(repeating: "}", count: depth)
        }
        #expect(refusal(nested(Limits.Schema.depth - 1)) == nil)
        #expect(refusal(nested(Limits.Schema.depth))?.contains("inside one another") == true)
    }

    @Test func subschemasAreBounded() {
        func wide(_ count: Int) -> String {
            "{\"properties\": {" + (0..<count).map { "\"p\($0)\": true" }.joined(separator: ",") + "}}"
        }
        #expect(refusal(wide(Limits.Schema.subschemas - 1)) == nil)
        #expect(refusal(wide(Limits.Schema.subschemas))?.contains("at most \(Limits.Schema.subschemas)") == true)
    }

    @Test func violationsAreBounded() throws {
        let values = "[" + Array(repeating: "1", count: 100).joined(separator: ",") + "]"
        #expect(try complaints(#"{"items": {"type": "string"}}"#, values).count == Limits.Schema.violations)
    }

    /// Alternatives within alternatives, each tried at every level: two to the power of the depth.
    @Test func aCheckThatCostsTooMuchIsRefusedAlsoUnderNot() throws {
        let parts = (1..<40).map {
            let one = "{\"$ref\": \"#/$defs/a\($0 - 1)\"}"
            return "\"a\($0)\": {\"anyOf\": [\(one), \(one)]}"
        }
        let deep = "{\"$defs\": {\"a0\": {\"type\": \"null\"}, \(parts.joined(separator: ", "))}"
        for schema in [deep + ", \"$ref\": \"#/$defs/a39\"}", deep + ", \"not\": {\"$ref\": \"#/$defs/a39\"}}"] {
            let complaints = try complaints(schema, "1")
            #expect(
                complaints.contains { $0.contains("to be checked in \(Limits.Schema.steps) steps") }, "\(complaints)")
        }
    }

    @Test func schemasInsideOneAnotherAreBoundedWhileChecking() throws {
        let chain =
            ##"{"$ref": "#/$defs/a0", "$defs": {"##
            + (0..<1000).map { "\"a\($0)\": {\"$ref\": \"#/$defs/a\($0 + 1)\"}, " }.joined()
            + #""a1000": {"type": "null"}}}"#
        let complaints = try complaints(chain, "null")
        #expect(
            complaints == [
                "the value leads to more than \(Limits.Schema.checkDepth) schemas inside one another; make it flatter"
            ])
    }

    @Test func aLargeArrayOfEqualHashesIsSortedOut() throws {
        let values = "[" + (0..<20_000).map { "{\"a\": \($0)}" }.joined(separator: ",") + "]"
        #expect(try complaints(#"{"uniqueItems": true}"#, values) == [])
    }
}

@Suite struct ArgumentCheckTests {
    @Test(arguments: [
        (#"{"a": 1, "b": [9223372036854775807, -9223372036854775808, 18446744073709551615, 1e300, -0]}"#, []),
        (
            #"{"a": {"x": 18446744073709551616}}"#,
            [
                "/a/x is the integer 18446744073709551616, which 64 bits do not hold; send it as a string if the tool takes one"
            ]
        ),
        (
            #"[0, -9223372036854775809]"#,
            [
                "/1 is the integer -9223372036854775809, which 64 bits do not hold; send it as a string if the tool takes one"
            ]
        ),
        (#"{"a": 1, "\u0061": 2}"#, ["/a is there twice; an object has each name once, so keep one of them"]),
        (
            #"[{"a": 1}, {"a": 1, "b": {"a": 1}, "a": ","}]"#,
            ["/1/a is there twice; an object has each name once, so keep one of them"]
        ),
        // Two spellings of é are two names.
        (#"{"\u00e9": 1, "e\u0301": 1}"#, []),
        (#"{"a": 1e400}"#, ["/a is a number that no double holds"]),
        (#"{"a" 1}"#, ["the value is no JSON: line 1, column 6: expected `:`, found `1`"]),
    ])
    func findsWhatReadersDifferAbout(text: String, expected: [String]) {
        #expect(ArgumentCheck.violations(in: Array(text.utf8)).map { "\($0)" } == expected)
    }

    @Test func isBounded() {
        let text = "[" + Array(repeating: "1e999", count: 100).joined(separator: ",") + "]"
        #expect(ArgumentCheck.violations(in: Array(text.utf8)).count == Limits.Schema.violations)
    }
}

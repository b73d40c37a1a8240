import ApusCore
import ApusJSON
import ApusTestSupport
import Testing

@testable import ApusSchema

/// Random schemas on random values: both end within their bounds, and both ways of checking agree.
@Suite struct SchemaFuzzTests {
    @Test(arguments: [UInt64(11), 12, 13, 14])
    func randomSchemasEndAndAgree(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var compiled = 0
        var accepted = 0
        for round in 0..<1_000 {
            let schema = Self.schema(depth: 4, &random).encoded()
            let value = Self.value(depth: 3, &random).encoded()
            guard let checked = Self.compile(schema) else { continue }
            compiled += 1
            let (accepts, violations) = try JSONParser().parse(value) { (checked.accepts($0), checked.check($0)) }
            #expect(
                accepts == violations.isEmpty,
                "seed \(seed), round \(round): \(String(decoding: schema, as: UTF8.self))")
            #expect(violations.count <= Limits.Schema.violations + 1)
            if accepts { accepted += 1 }
        }
        #expect(compiled > 500 && accepted > 50 && accepted < compiled, "\(compiled) compiled, \(accepted) accepted")
    }

    /// A schema with bytes changed is refused or compiled, and nothing else.
    @Test(arguments: [UInt64(21), 22])
    func changedSchemasAreCompiledOrRefused(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<1_000 {
            var text = Self.schema(depth: 3, &random).encoded()
            for _ in 0..<Int.random(in: 1...4, using: &random) where !text.isEmpty {
                let at = Int.random(in: 0..<text.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: text[at] = UInt8.random(in: .min ... .max, using: &random)
                case 1: text.remove(at: at)
                default: text.insert(contentsOf: text[at..<min(text.count, at + 9)], at: at)
                }
            }
            if let checked = Self.compile(text) {
                _ = try JSONParser().parse(Array("{\"a\": [1, \"x\"]}".utf8)) { checked.check($0) }
            }
        }
    }

    private static func compile(_ text: [UInt8]) -> CompiledSchema? {
        do throws(SchemaError) { return try CompiledSchema(parsing: text) } catch { return nil }
    }

    private static let names = ["a", "b", "c", "é", "$ref", ""]

    private static func pick<Element>(_ elements: [Element], _ random: inout SeededGenerator) -> Element {
        elements[Int.random(in: 0..<elements.count, using: &random)]
    }

    private static func value(depth: Int, _ random: inout SeededGenerator) -> JSONValue {
        switch Int.random(in: 0..<(depth == 0 ? 6 : 9), using: &random) {
        case 0: return .null
        case 1: return .boolean(Bool.random(using: &random))
        case 2: return .integer(Int64.random(in: -3...9, using: &random))
        case 3: return .double(Double(Int.random(in: -30...90, using: &random)) / 10)
        case 4...5: return .string(Self.pick(["", "a", "ab", "aaa", "é", "12"], &random))
        case 6:
            return .array(
                (0..<Int.random(in: 0...4, using: &random)).map { _ in Self.value(depth: depth - 1, &random) })
        default:
            return .object(
                JSONObject(
                    (0..<Int.random(in: 0...4, using: &random)).map { _ in
                        (Self.pick(Self.names, &random), Self.value(depth: depth - 1, &random))
                    }))
        }
    }

    private static func schema(depth: Int, _ random: inout SeededGenerator) -> JSONValue {
        guard depth > 0, Int.random(in: 0..<8, using: &random) > 0 else {
            return .boolean(Bool.random(using: &random) || depth > 1)
        }
        var members: [(String, JSONValue)] = []
        for _ in 0..<Int.random(in: 0...4, using: &random) { members.append(Self.keyword(depth - 1, &random)) }
        if depth == 4 {
            members.append(("$defs", .object(JSONObject(["x", "y"].map { ($0, Self.schema(depth: 2, &random)) }))))
        }
        return .object(JSONObject(members))
    }

    private static func keyword(_ depth: Int, _ random: inout SeededGenerator) -> (String, JSONValue) {
        let one = [
            "not", "if", "then", "else", "contains", "propertyNames", "additionalProperties", "items",
            "unevaluatedItems", "unevaluatedProperties",
        ]
        let count = JSONValue.integer(Int64.random(in: 0...3, using: &random))
        switch Int.random(in: 0..<11, using: &random) {
        case 0: return ("type", .string(Self.pick(TypeSet.names.map(\.name), &random)))
        case 1: return (Self.pick(["const", "default"], &random), Self.value(depth: 1, &random))
        case 2: return ("enum", .array((0...3).map { _ in Self.value(depth: 1, &random) }))
        case 3:
            return (
                Self.pick(
                    [
                        "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties",
                        "minContains", "maxContains", "minimum", "exclusiveMaximum",
                    ], &random), count
            )
        case 4: return ("pattern", .string(Self.pick(["a", "^a+$", "^(a|b)*$", "\\d", "é"], &random)))
        case 5: return ("required", .array([.string(Self.pick(Self.names, &random))]))
        case 6: return (Self.pick(one, &random), Self.schema(depth: depth, &random))
        case 7:
            return (
                Self.pick(["allOf", "anyOf", "oneOf", "prefixItems"], &random),
                .array((0...1).map { _ in Self.schema(depth: depth, &random) })
            )
        case 8:
            return (
                Self.pick(["properties", "patternProperties", "dependentSchemas"], &random),
                .object(
                    JSONObject(
                        (0...2).map { _ in
                            (
                                Self.pick(Self.names.filter { !$0.hasPrefix("$") }, &random),
                                Self.schema(depth: depth, &random)
                            )
                        }))
            )
        case 9:
            return (
                Self.pick(["$ref", "$dynamicRef"], &random),
                .string(Self.pick(["#", "#/$defs/x", "#/$defs/y"], &random))
            )
        default: return Bool.random(using: &random) ? ("uniqueItems", true) : ("multipleOf", 0.5)
        }
    }
}

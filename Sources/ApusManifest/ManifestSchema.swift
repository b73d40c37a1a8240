internal import ApusCore
public import ApusJSON

/// The JSON Schema (2020-12) of manifests, made from the descriptions that drive the parser.
///
/// It accepts what the parser accepts. It cannot say everything the parser checks, such as that names differ.
public enum ManifestSchema {
    /// One schema for a document of any kind.
    public static var json: JSONValue {
        [
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": "https://apus.dev/schema/v1/manifest.json",
            "title": "Apus manifest",
            "$defs": ["filter": self.filter],
            "oneOf": .array(
                DocumentKind.allCases.map { kind in
                    var schema = self.object(kind.shape)
                    schema["title"] = .string(kind.rawValue)
                    return schema
                }),
        ]
    }

    /// One schema for a configuration file.
    static func configuration(_ shape: ObjectShape) -> JSONValue {
        var schema = self.object(shape)
        schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
        schema["$id"] = "https://apus.dev/schema/v1/configuration.json"
        schema["title"] = "Apus server configuration"
        return schema
    }

    private static func object(_ shape: ObjectShape) -> JSONValue {
        var schema: JSONValue = ["type": "object"]
        schema["properties"] = .object(JSONObject(shape.fields.map { ($0.name, self.field($0)) }))
        let required = shape.fields.filter(\.isRequired).map { JSONValue.string($0.name) }
        if !required.isEmpty { schema["required"] = .array(required) }
        if let others = shape.others {
            schema["additionalProperties"] = self.schema(others.value)
            schema["propertyNames"] = self.schema(.text(others.key))
            schema["maxProperties"] = .number(others.max)
        } else {
            schema["additionalProperties"] = false
        }
        let groups = shape.exactlyOneOf.map { self.exactlyOne($0) } + shape.atMostOneOf.map { self.atMostOne($0) }
        if !groups.isEmpty { schema["allOf"] = .array(groups) }
        return schema
    }

    private static func exactlyOne(_ names: [String]) -> JSONValue {
        ["oneOf": .array(names.map { ["required": [.string($0)]] })]
    }

    private static func atMostOne(_ names: [String]) -> JSONValue {
        let none: JSONValue = ["not": ["anyOf": .array(names.map { ["required": [.string($0)]] })]]
        return ["oneOf": .array([none] + names.map { ["required": [.string($0)]] })]
    }

    private static func field(_ field: Field) -> JSONValue {
        var schema = self.schema(field.shape)
        let note =
            switch field.support {
            case .now: ""
            case .later: " Not yet supported."
            }
        schema["description"] = .string(field.about + note)
        if let standard = field.standard { schema["default"] = standard }
        return schema
    }

    private static func schema(_ shape: Shape) -> JSONValue {
        switch shape {
        case .text(let rule): self.text(rule, ["string"])
        case .scalarText(let rule): self.text(rule, ["string", "number", "boolean"])
        case .boolean: ["type": "boolean"]
        case .integer(let range):
            ["type": "integer", "minimum": .integer(range.lowerBound), "maximum": .integer(range.upperBound)]
        case .fraction: ["type": "number", "minimum": 0, "maximum": 1]
        case .money: ["type": "number", "exclusiveMinimum": 0, "maximum": .double(Money.most.amount)]
        case .span: ["type": "string", "pattern": .string(Quantity.spanPattern)]
        case .bytes(let range):
            [
                "type": ["string", "integer"], "pattern": .string(Quantity.bytesPattern),
                "minimum": .integer(range.lowerBound),
            ]
        case .cpu: ["type": ["string", "number"], "pattern": .string(Quantity.cpuPattern), "exclusiveMinimum": 0]
        case .choice(let choices): self.choice(choices)
        case .wordOr(let words, let shape): ["anyOf": [self.choice(words), self.schema(shape)]]
        case .scalarOr(let scalar, let structured): ["anyOf": [self.schema(scalar), self.schema(structured)]]
        case .list(let element, let max): ["type": "array", "items": self.schema(element), "maxItems": .number(max)]
        case .map(let key, let value, let max):
            [
                "type": "object", "propertyNames": self.schema(.text(key)), "additionalProperties": self.schema(value),
                "maxProperties": .number(max),
            ]
        case .object(let shape): self.object(shape)
        case .filter: ["$ref": "#/$defs/filter"]
        case .json: [:]
        }
    }

    /// A filter, which may hold others.
    private static var filter: JSONValue {
        let text = self.schema(.scalarText(.any))
        let conditions: JSONValue = ["type": "object", "additionalProperties": text]
        let filters: JSONValue = [
            "type": "array", "items": ["$ref": "#/$defs/filter"], "maxItems": .number(Limits.Manifest.filterTerms),
        ]
        return [
            "type": "object",
            "properties": [
                "exact": conditions, "prefix": conditions, "suffix": conditions, "all": filters, "any": filters,
                "not": ["$ref": "#/$defs/filter"], "sql": ["type": "string"],
            ],
            "additionalProperties": text,
            "propertyNames": ["pattern": .string(#"^([a-z0-9]{1,64}|data[.\[].+|headers\[.+\])$"#)],
            "maxProperties": .number(Limits.Manifest.filterTerms),
        ]
    }

    private static func choice(_ choices: [Choice]) -> JSONValue {
        let later = choices.filter { $0.support != .now }.map(\.name)
        var schema: JSONValue = ["enum": .array(choices.map { .string($0.name) })]
        if !later.isEmpty { schema["$comment"] = .string("not yet supported: \(later.joined(separator: ", "))") }
        return schema
    }

    private static func text(_ rule: TextRule, _ types: [String]) -> JSONValue {
        var schema: JSONValue = ["type": types.count == 1 ? .string(types[0]) : .array(types.map { .string($0) })]
        if let pattern = rule.pattern { schema["pattern"] = .string(pattern) }
        return schema
    }
}

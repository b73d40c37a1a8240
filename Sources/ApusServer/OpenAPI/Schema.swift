internal import ApusCore
internal import ApusJSON

/// JSON Schema in few words.
enum Schema {
    static let text: JSONValue = ["type": "string"]
    static let boolean: JSONValue = ["type": "boolean"]
    static let anything: JSONValue = [:]
    static let time: JSONValue = ["type": "string", "format": "date-time"]
    static let count: JSONValue = ["type": "integer", "minimum": 0]

    static func text(_ example: String, pattern: String? = nil) -> JSONValue {
        var schema: JSONValue = ["type": "string", "examples": [.string(example)]]
        if let pattern { schema["pattern"] = .string(pattern) }
        return schema
    }

    static func integer(_ range: ClosedRange<Int>, default standard: Int? = nil) -> JSONValue {
        var schema: JSONValue = [
            "type": "integer", "minimum": .number(range.lowerBound), "maximum": .number(range.upperBound),
        ]
        if let standard { schema["default"] = .number(standard) }
        return schema
    }

    static func oneOf(_ values: [String]) -> JSONValue {
        ["type": "string", "enum": .array(values.map { .string($0) })]
    }

    static func list(_ element: JSONValue) -> JSONValue { ["type": "array", "items": element] }

    /// `{"items": […]}`, the form of every list.
    static func items(_ element: JSONValue) -> JSONValue { Self.object(["items": Self.list(element)]) }

    static func object(_ required: JSONObject, optional: JSONObject = [:]) -> JSONValue {
        var properties = JSONObject()
        for member in required { properties[member.name] = member.value }
        for member in optional { properties[member.name] = member.value }
        var schema: JSONValue = ["type": "object", "properties": .object(properties)]
        if !required.isEmpty { schema["required"] = .array(required.names.map { .string($0) }) }
        return schema
    }

    /// An object that takes no other member.
    static func closed(_ object: JSONValue) -> JSONValue {
        var schema = object
        schema["additionalProperties"] = false
        return schema
    }

    /// One of ``components``.
    static func named(_ name: String) -> JSONValue { ["$ref": .string("#/components/schemas/\(name)")] }

    static func orNull(_ schema: JSONValue) -> JSONValue { ["anyOf": [schema, ["type": "null"]]] }

    /// A member with a sentence on what it says.
    static func said(_ schema: JSONValue, _ summary: String) -> JSONValue {
        // Beside a reference other members count too in this version of JSON Schema.
        var schema = schema
        schema["description"] = .string(summary)
        return schema
    }

    static let labelPattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
    static let label = Self.text("embed-text", pattern: Self.labelPattern)
    static let hash = Self.text(String(repeating: "a", count: 64), pattern: "^[0-9a-f]{64}$")
}

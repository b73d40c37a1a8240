internal import ApusCore
internal import ApusJSON
internal import ApusSchema

/// Makes JSON Schema 2020-12 of the schemas in an API's description, for one tool: what it refers to comes along under `$defs`,
/// once each, so that circles stay circles.
struct OpenAPISchemas {
    private let document: OpenAPIDocument
    /// Names under `$defs`, by what they were referred to by.
    private var names: [String: String] = [:]
    private var pending: [(name: String, reference: String)] = []
    private(set) var definitions = JSONObject()
    /// What was left out, to be told.
    private(set) var notes: [String] = []

    init(_ document: OpenAPIDocument) { self.document = document }

    /// Notes of a document that say nothing to a caller, and what is written in another way.
    private static let dropped: Set<String> = [
        "xml", "discriminator", "externalDocs", "example", "nullable", "$schema", "$id", "$anchor", "$comment",
    ]

    /// Converts what was referred to until now.
    mutating func finish() throws(ImportProblem) {
        while let (name, reference) = self.pending.popLast() {
            let target = try self.document.target(of: reference)
            self.definitions[name] = try self.schema(target)
        }
    }

    /// A schema as JSON Schema.
    mutating func schema(_ value: JSONValue, depth: Int = 0) throws(ImportProblem) -> JSONValue {
        guard depth < Limits.Import.schemaDepth else {
            throw ImportProblem("a schema has more than \(Limits.Import.schemaDepth) parts inside one another")
        }
        guard let members = value.object else { return value.boolean.map { .boolean($0) } ?? true }
        if let reference = value["$ref"]?.string { return try self.referring(to: reference, members) }
        var result = JSONObject()
        for member in members where !Self.dropped.contains(member.name) && !member.name.hasPrefix("x-") {
            try self.add(member, to: &result, depth: depth)
        }
        if let properties = members["properties"] { self.dropReadOnly(properties, &result) }
        if self.document.isThreeZero { self.convertBounds(&result) }
        if result["examples"] == nil, let example = members["example"] { result["examples"] = [example] }
        let isNullable = self.document.isThreeZero && members["nullable"] == true
        return isNullable ? Self.nullable(result) : .object(result)
    }

    private mutating func add(
        _ member: JSONObject.Member, to result: inout JSONObject, depth: Int
    ) throws(ImportProblem) {
        let value = member.value
        switch member.name {
        case "properties", "patternProperties", "dependentSchemas", "$defs", "definitions":
            var converted = JSONObject()
            for part in value.object ?? [:] {
                // What only answers hold is nothing to send.
                guard part.value["readOnly"] != true else { continue }
                converted[part.name] = try self.schema(part.value, depth: depth + 1)
            }
            result[member.name] = .object(converted)
        case "items", "additionalProperties", "not", "contains", "propertyNames", "if", "then", "else",
            "unevaluatedItems", "unevaluatedProperties":
            result[member.name] = try self.schema(value, depth: depth + 1)
        case "allOf", "anyOf", "oneOf", "prefixItems":
            var parts: [JSONValue] = []
            for part in value.array ?? [] { parts.append(try self.schema(part, depth: depth + 1)) }
            if !parts.isEmpty { result[member.name] = .array(parts) }
        case "required":
            // The Boolean of older habits says nothing here.
            if let names = value.array, !names.isEmpty { result["required"] = .array(names) }
        case "pattern":
            if let text = value.string, let problem = SchemaPattern.problem(text) {
                self.notes.append("left out the pattern \(text), which \(problem)")
            } else {
                result["pattern"] = value
            }
        default: result[member.name] = value
        }
    }

    /// Takes properties that were left out from the required ones.
    private func dropReadOnly(_ properties: JSONValue, _ result: inout JSONObject) {
        guard let required = result["required"]?.array else { return }
        let kept = required.filter { name in
            guard let name = name.string else { return false }
            return properties[name]?["readOnly"] != true
        }
        result["required"] = kept.isEmpty ? nil : .array(kept)
    }

    private mutating func referring(to reference: String, _ members: JSONObject) throws(ImportProblem) -> JSONValue {
        let known = self.names[reference]
        let name = known ?? self.name(for: reference)
        if known == nil {
            _ = try self.document.target(of: reference)
            self.names[reference] = name
            self.pending.append((name, reference))
        }
        var result: JSONObject = ["$ref": .string("#/$defs/\(name)")]
        if let description = members["description"] { result["description"] = description }
        return .object(result)
    }

    /// The last part of the reference, in letters that need no escapes; with a number where it is taken.
    private func name(for reference: String) -> String {
        let last = reference.split(separator: "/").last ?? "schema"
        let plain = String(
            last.unicodeScalars.map {
                $0.isASCII && ($0.properties.isAlphabetic || $0.properties.numericType != nil || $0 == "_" || $0 == "-")
                    ? Character($0) : "_"
            })
        var name = plain
        var number = 2
        while self.names.values.contains(name) {
            name = "\(plain)_\(number)"
            number += 1
        }
        return name
    }

    // MARK: 3.0

    /// `minimum: 1, exclusiveMinimum: true` is `exclusiveMinimum: 1`.
    private func convertBounds(_ result: inout JSONObject) {
        for (exclusive, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
            guard let isExclusive = result[exclusive]?.boolean else { continue }
            result[exclusive] = isExclusive ? result[bound] : nil
            if isExclusive { result[bound] = nil }
        }
    }

    /// `nullable: true` lets null in beside what is there.
    private static func nullable(_ schema: JSONObject) -> JSONValue {
        var schema = schema
        guard let type = schema["type"]?.string else {
            // Without a type it says nothing in 3.0, except where the rest would refuse null.
            return .object(["anyOf": [.object(schema), ["type": "null"]]])
        }
        schema["type"] = [.string(type), "null"]
        if let values = schema["enum"]?.array, !values.contains(.null) { schema["enum"] = .array(values + [.null]) }
        return .object(schema)
    }
}

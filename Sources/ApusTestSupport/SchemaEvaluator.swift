public import ApusJSON

/// Checks a value against the keywords of JSON Schema that the schemas here use; any other keyword is an issue of its own.
public struct SchemaEvaluator {
    private var patterns: [String: Regex<AnyRegexOutput>] = [:]
    /// What references of the form `#/definitions/…` or `#/$defs/…` lead into.
    private let definitions: JSONValue

    public init(definitions: JSONValue = [:]) { self.definitions = definitions }

    private static let notes: Set<String> = [
        "$schema", "$id", "$comment", "title", "description", "default", "examples", "definitions", "$defs",
    ]

    private static let formats = [
        "uri-reference": #"^[^\s<>"{}|\\^`]*$"#, "uri": #"^[A-Za-z][A-Za-z0-9+.-]*:[^\s<>"{}|\\^`]*$"#,
        "date-time":
            #"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$"#,
        "base64": #"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"#,
    ]

    /// - Returns: what does not fit, nil when all does.
    public mutating func mismatch(_ value: JSONValue, _ schema: JSONValue, _ path: String = "$") throws -> String? {
        guard let keywords = schema.object else { return "\(path): the schema is no object" }
        for keyword in keywords where !Self.notes.contains(keyword.name) {
            if let mismatch = try self.mismatch(value, keyword.name, keyword.value, keywords, path) { return mismatch }
        }
        return nil
    }

    private mutating func mismatch(
        _ value: JSONValue, _ keyword: String, _ argument: JSONValue, _ schema: JSONObject, _ path: String
    ) throws -> String? {
        switch keyword {
        case "type":
            let types = argument.array?.compactMap(\.string) ?? [argument.string ?? ""]
            return types.contains { Self.isType(value, $0) } ? nil : "\(path): is none of \(types)"
        case "enum": return argument.array?.contains(value) == true ? nil : "\(path): is not in the enum"
        case "pattern": return try self.unmatched(value, argument.string, path)
        case "format", "contentEncoding":
            guard let format = argument.string, let pattern = Self.formats[format] else {
                return "\(path): the format \(argument) is not known here"
            }
            return try self.unmatched(value, pattern, path)
        case "minLength":
            guard let text = value.string else { return nil }
            return text.unicodeScalars.count >= argument.int ?? 0 ? nil : "\(path): too short"
        case "$ref":
            guard let name = argument.string?.split(separator: "/").last, let part = self.definitions[String(name)]
            else {
                return "\(path): \(argument) leads nowhere"
            }
            return try self.mismatch(value, part, path)
        case "minimum": return (value.double ?? .infinity) >= (argument.double ?? 0) ? nil : "\(path): too small"
        case "maximum": return (value.double ?? -.infinity) <= (argument.double ?? 0) ? nil : "\(path): too large"
        case "exclusiveMinimum":
            return (value.double ?? .infinity) > (argument.double ?? 0) ? nil : "\(path): too small"
        case "maxItems": return (value.array?.count ?? 0) <= (argument.int ?? 0) ? nil : "\(path): too many"
        case "maxProperties": return (value.object?.count ?? 0) <= (argument.int ?? 0) ? nil : "\(path): too many"
        case "required":
            guard let object = value.object else { return nil }
            return argument.array?.compactMap(\.string).first { object[$0] == nil }.map { "\(path): \($0) is missing" }
        default: return try self.applied(value, keyword, argument, schema, path)
        }
    }

    private mutating func unmatched(_ value: JSONValue, _ pattern: String?, _ path: String) throws -> String? {
        guard let text = value.string, let pattern else { return nil }
        let regex = try self.patterns[pattern] ?? Regex(pattern)
        self.patterns[pattern] = regex
        return text.firstMatch(of: regex) != nil ? nil : "\(path): `\(text)` does not match \(pattern)"
    }

    /// The keywords that hold other schemas.
    private mutating func applied(
        _ value: JSONValue, _ keyword: String, _ argument: JSONValue, _ schema: JSONObject, _ path: String
    ) throws -> String? {
        switch keyword {
        case "properties":
            for member in value.object ?? [:] {
                guard let property = argument[member.name] else { continue }
                if let mismatch = try self.mismatch(member.value, property, "\(path).\(member.name)") {
                    return mismatch
                }
            }
        case "additionalProperties":
            for member in value.object ?? [:] where schema["properties"]?[member.name] == nil {
                if argument == false { return "\(path): \(member.name) is unknown" }
                if let mismatch = try self.mismatch(member.value, argument, "\(path).\(member.name)") {
                    return mismatch
                }
            }
        case "propertyNames":
            for member in value.object ?? [:] {
                if let mismatch = try self.mismatch(.string(member.name), argument, "\(path) name") { return mismatch }
            }
        case "items":
            for (index, element) in (value.array ?? []).enumerated() {
                if let mismatch = try self.mismatch(element, argument, "\(path)[\(index)]") { return mismatch }
            }
        case "allOf":
            for part in argument.array ?? [] {
                if let mismatch = try self.mismatch(value, part, path) { return mismatch }
            }
        case "anyOf", "oneOf":
            var mismatches: [String] = []
            for part in argument.array ?? [] {
                if let mismatch = try self.mismatch(value, part, path) { mismatches.append(mismatch) }
            }
            let matches = (argument.array?.count ?? 0) - mismatches.count
            guard matches == 1 || (keyword == "anyOf" && matches > 0) else {
                return "\(path): \(matches) match: \(mismatches)"
            }
        case "not": return try self.mismatch(value, argument, path) == nil ? "\(path): matches what it must not" : nil
        default: return "\(path): the keyword \(keyword) is not known here"
        }
        return nil
    }

    private static func isType(_ value: JSONValue, _ type: String) -> Bool {
        switch (type, value) {
        case ("string", .string), ("boolean", .boolean), ("object", .object), ("array", .array), ("null", .null),
            ("integer", .integer),
            ("integer", .unsigned), ("number", .integer), ("number", .unsigned), ("number", .double):
            true
        default: false
        }
    }
}

internal import ApusCore
internal import ApusJSON

extension EventFilter {
    /// As a manifest says it, in one form.
    var json: JSONValue {
        switch self {
        case .exact(let conditions):
            // Attributes alone are what a filter is without any dialect, unless one has the name of a dialect.
            let isPlain = !conditions.contains { Self.dialects.contains($0.reference.description) }
            return isPlain ? Self.json(conditions) : ["exact": Self.json(conditions)]
        case .prefix(let conditions): return ["prefix": Self.json(conditions)]
        case .suffix(let conditions): return ["suffix": Self.json(conditions)]
        case .all(let parts): return parts.isEmpty ? [:] : ["all": .array(parts.map(\.json))]
        case .any(let parts): return ["any": .array(parts.map(\.json))]
        case .not(let part): return ["not": part.json]
        case .sql(let text, _): return ["sql": .string(text)]
        }
    }

    private static func json(_ conditions: [FilterCondition]) -> JSONValue {
        .object(JSONObject(conditions.map { ($0.reference.description, .string($0.text)) }))
    }
}

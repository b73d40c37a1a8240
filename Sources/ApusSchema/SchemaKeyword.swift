/// The keywords that a schema's meaning rests on; the others are notes.
enum SchemaKeyword: String, CaseIterable {
    case reference = "$ref"
    case dynamicReference = "$dynamicRef"
    case definitions, defs = "$defs"
    case type, constant = "const", enumeration = "enum"
    case multipleOf, minimum, maximum, exclusiveMinimum, exclusiveMaximum
    case minLength, maxLength, pattern
    case prefixItems, items, additionalItems, contains, minContains, maxContains, minItems, maxItems, uniqueItems
    case properties, patternProperties, additionalProperties, propertyNames, minProperties, maxProperties, required
    case dependentRequired, dependentSchemas, dependencies
    case allOf, anyOf, oneOf, not, condition = "if", then, otherwise = "else"
    case unevaluatedItems, unevaluatedProperties

    private static let byName = Dictionary(uniqueKeysWithValues: Self.allCases.map { ($0.rawValue, $0) })

    /// The keyword of that name, where the dialect has it.
    init?(_ name: [UInt8], _ dialect: SchemaDialect) {
        guard let keyword = Self.byName[String(decoding: name, as: UTF8.self)] else { return nil }
        self = keyword
        switch self {
        case .dynamicReference, .defs, .prefixItems, .minContains, .maxContains, .dependentRequired, .dependentSchemas,
            .unevaluatedItems, .unevaluatedProperties:
            guard dialect == .draft202012 else { return nil }
        case .additionalItems:
            guard dialect == .draft07 else { return nil }
        default: break
        }
    }

    /// Where a keyword's value holds schemas.
    enum Holding { case nothing, schema, list, map, schemaOrList }

    var holds: Holding {
        switch self {
        case .items: .schemaOrList
        case .allOf, .anyOf, .oneOf, .prefixItems: .list
        case .definitions, .defs, .properties, .patternProperties, .dependentSchemas, .dependencies: .map
        case .additionalItems, .contains, .additionalProperties, .propertyNames, .not, .condition, .then, .otherwise,
            .unevaluatedItems, .unevaluatedProperties:
            .schema
        default: .nothing
        }
    }

    /// Whether it belongs to the vocabulary that a metaschema may leave out.
    var isValidation: Bool {
        switch self {
        case .type, .constant, .enumeration, .multipleOf, .minimum, .maximum, .exclusiveMinimum, .exclusiveMaximum,
            .minLength, .maxLength, .pattern, .minContains, .maxContains, .minItems, .maxItems, .uniqueItems,
            .minProperties, .maxProperties, .required, .dependentRequired:
            true
        default: false
        }
    }
}

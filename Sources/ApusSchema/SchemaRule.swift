/// A subschema, ready to be applied: what it asks for, cheapest first.
///
/// Nodes and the larger rules are objects, so that a check passes them on by one pointer.
final class SchemaNode: Sendable {
    let rules: [SchemaRule]
    /// The resource it lies in: dynamic references look for their anchors in those that were entered.
    let resource: Int
    /// Whether it asks what the other keywords have looked at.
    let asksForRest: Bool

    init(_ rules: [SchemaRule], resource: Int, asksForRest: Bool = false) {
        self.rules = rules
        self.resource = resource
        self.asksForRest = asksForRest
    }

    /// Whether it takes everything, so that applying it can be spared.
    var takesAll: Bool { self.rules.isEmpty }
}

/// One thing that a subschema asks for. Numbers are places in the compiled schema's tables.
enum SchemaRule: Sendable {
    /// The schema `false`.
    case nothing
    case type(TypeSet)
    case constant(SchemaLiteral)
    case enumeration([SchemaLiteral])
    case number(Shared<NumberRule>)
    case string(Shared<StringRule>)
    case array(Shared<ArrayRule>)
    case object(Shared<ObjectRule>)
    case reference(Int)
    case dynamicReference(Int, anchor: Int)
    case allOf([Int])
    case anyOf([Int])
    case oneOf([Int])
    case not(Int)
    case condition(Int, then: Int?, otherwise: Int?)
    case dependents([(name: [UInt8], schema: Int)], keyword: String)
    case unevaluatedItems(Int)
    case unevaluatedProperties(Int)
}

/// A value behind one pointer.
final class Shared<Value: Sendable>: Sendable {
    let value: Value

    init(_ value: Value) { self.value = value }
}

/// The kinds of values that `type` allows.
struct TypeSet: OptionSet, Sendable {
    let rawValue: UInt8

    static let null = TypeSet(rawValue: 1)
    static let boolean = TypeSet(rawValue: 2)
    static let integer = TypeSet(rawValue: 4)
    static let number = TypeSet(rawValue: 8)
    static let string = TypeSet(rawValue: 16)
    static let array = TypeSet(rawValue: 32)
    static let object = TypeSet(rawValue: 64)

    static let names: [(name: String, type: TypeSet)] = [
        ("null", .null), ("boolean", .boolean), ("integer", .integer), ("number", .number), ("string", .string),
        ("array", .array), ("object", .object),
    ]
}

struct NumberRule: Sendable {
    var least: SchemaNumber?
    var most: SchemaNumber?
    var above: SchemaNumber?
    var below: SchemaNumber?
    var step: SchemaNumber?
}

/// Lengths are in code points.
struct StringRule: Sendable {
    var least = 0
    var most = Int.max
    var pattern: Pattern?
}

struct ArrayRule: Sendable {
    var least = 0
    var most = Int.max
    var isUnique = false
    var prefix: [Int] = []
    /// What the elements after the prefix must be.
    var rest: Int?
    /// The keyword that `rest` was written under.
    var restKeyword = "items"
    var contains: Int?
    var containsLeast = 1
    var containsMost = Int.max
    /// Whether elements that `contains` found count as looked at.
    var containsMarks = true

    var walks: Bool { !self.prefix.isEmpty || self.rest != nil || self.contains != nil }
}

struct ObjectRule: Sendable {
    var least = 0
    var most = Int.max
    var names = NameTable()
    var required: [[UInt8]] = []
    var patterns: [(pattern: Pattern, schema: Int)] = []
    var additional: Int?
    var nameSchema: Int?
    var dependentRequired: [(name: [UInt8], needs: [[UInt8]])] = []
    var dependentKeyword = "dependentRequired"

    var walks: Bool {
        !self.names.isEmpty || !self.patterns.isEmpty || self.additional != nil || self.nameSchema != nil
            || self.least > 0 || self.most < Int.max
    }
}

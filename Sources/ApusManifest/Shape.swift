internal import ApusCore
internal import ApusJSON

/// What a value of a manifest may be. The parser and the JSON Schema are both made from these descriptions.
indirect enum Shape: Sendable {
    case text(TextRule)
    /// A scalar of any kind, taken as it is written: values of environment variables, of filters, of labels.
    case scalarText(TextRule)
    case boolean
    case integer(ClosedRange<Int64>)
    /// A number from 0 to 1.
    case fraction
    /// An amount of the currency of `pool.prices`, above 0.
    case money
    case span(ClosedRange<TimeSpan>)
    case bytes(ClosedRange<Int64>)
    /// Thousandths of a CPU.
    case cpu(ClosedRange<Int64>)
    case choice([Choice])
    /// One of these words, or else the shape.
    case wordOr([Choice], Shape)
    /// A scalar of the first shape, or a list or mapping of the second.
    case scalarOr(Shape, Shape)
    case list(Shape, max: Int)
    case map(key: TextRule, value: Shape, max: Int)
    case object(ObjectShape)
    /// Which events: attributes and the dialects of CloudEvents Subscriptions, one inside the other.
    case filter
    /// Anything, kept as JSON.
    case json
}

/// Whether something that a manifest may say has an effect.
enum Support: Sendable {
    case now
    /// Checked, then refused.
    case later
}

struct Choice: Sendable {
    let name: String
    let support: Support

    init(_ name: String, _ support: Support = .now) {
        self.name = name
        self.support = support
    }
}

struct Field: Sendable {
    let name: String
    let shape: Shape
    let about: String
    let isRequired: Bool
    /// What holds when the field is not there.
    let standard: JSONValue?
    let support: Support

    init(
        _ name: String, _ shape: Shape, _ about: String, required: Bool = false, standard: JSONValue? = nil,
        _ support: Support = .now
    ) {
        self.name = name
        self.shape = shape
        self.about = about
        self.isRequired = required
        self.standard = standard
        self.support = support
    }
}

struct ObjectShape: Sendable {
    let fields: [Field]
    /// Of each of these groups exactly one field must be there.
    let exactlyOneOf: [[String]]
    /// Of each of these groups at most one field may be there.
    let atMostOneOf: [[String]]
    /// Names besides the fields, for filters: these are checked by the rule.
    let others: (key: TextRule, value: Shape, max: Int)?

    init(
        _ fields: [Field], exactlyOneOf: [[String]] = [], atMostOneOf: [[String]] = [],
        others: (key: TextRule, value: Shape, max: Int)? = nil
    ) {
        self.fields = fields
        self.exactlyOneOf = exactlyOneOf
        self.atMostOneOf = atMostOneOf
        self.others = others
    }

    func field(_ name: String) -> Field? { self.fields.first { $0.name == name } }
}

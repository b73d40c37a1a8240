/// Gathers the keywords of one subschema and puts them in the order in which they are checked.
struct SchemaNodeBuilder {
    let schema: Int
    let resource: Int
    let rules: SchemaRules
    private var cheap: [SchemaRule] = []
    private var applied: [SchemaRule] = []
    private var last: [SchemaRule] = []
    private var number: NumberRule?
    private var string: StringRule?
    private var array: ArrayRule?
    private var object: ObjectRule?
    private var condition: Int?
    private var then: Int?
    private var otherwise: Int?
    private var additionalItems: Int?
    private var takesAnyItem = false

    init(schema: Int, resource: Int, rules: SchemaRules) {
        self.schema = schema
        self.resource = resource
        self.rules = rules
    }

    /// Whether it has a keyword that looks at what the others left.
    var asksForRest: Bool { !self.last.isEmpty }

    mutating func add(_ keyword: SchemaKeyword, _ value: Int, _ compiler: SchemaCompiler) throws(SchemaError) {
        let reader = SchemaValueReader(compiler: compiler, value: value, keyword: keyword.rawValue)
        switch keyword {
        case .reference: try self.addReference(reader)
        case .dynamicReference: try self.addDynamicReference(reader)
        case .definitions, .defs: for member in try reader.map() { _ = try reader.schema(member.value) }
        case .type: self.cheap.insert(.type(try reader.types()), at: 0)
        case .constant: self.cheap.append(.constant(reader.literal(value)))
        case .enumeration: self.cheap.append(.enumeration(try reader.list().map { reader.literal($0) }))
        case .multipleOf, .minimum, .maximum, .exclusiveMinimum, .exclusiveMaximum: try self.addNumber(keyword, reader)
        case .minLength: try self.addString { (rule) throws(SchemaError) in rule.least = try reader.count() }
        case .maxLength: try self.addString { (rule) throws(SchemaError) in rule.most = try reader.count() }
        case .pattern: try self.addString { (rule) throws(SchemaError) in rule.pattern = try reader.pattern() }
        case .prefixItems, .items, .additionalItems, .contains, .minContains, .maxContains, .minItems, .maxItems,
            .uniqueItems:
            try self.addArray(keyword, reader)
        case .properties, .patternProperties, .additionalProperties, .propertyNames, .minProperties, .maxProperties,
            .required, .dependentRequired:
            try self.addObject(keyword, reader)
        case .dependentSchemas, .dependencies: try self.addDependents(keyword, reader)
        case .allOf: self.applied.append(.allOf(try reader.schemas()))
        case .anyOf: self.applied.append(.anyOf(try reader.schemas()))
        case .oneOf: self.applied.append(.oneOf(try reader.schemas()))
        case .not: self.applied.append(.not(try reader.schema()))
        case .condition: self.condition = try reader.schema()
        case .then: self.then = try reader.schema()
        case .otherwise: self.otherwise = try reader.schema()
        case .unevaluatedItems: self.last.append(.unevaluatedItems(try reader.schema()))
        case .unevaluatedProperties: self.last.append(.unevaluatedProperties(try reader.schema()))
        }
    }

    /// The rules, cheapest first.
    func finish() -> [SchemaRule] {
        var all = self.cheap
        if let number = self.number { all.append(.number(Shared(number))) }
        if let string = self.string { all.append(.string(Shared(string))) }
        if var array = self.array {
            // Only after an array of items do others count as additional.
            if self.rules.dialect == .draft07, !array.prefix.isEmpty || self.takesAnyItem,
                let rest = self.additionalItems
            {
                array.rest = rest
                array.restKeyword = "additionalItems"
            }
            array.containsMarks = self.rules.dialect == .draft202012
            all.append(.array(Shared(array)))
        }
        if let object = self.object { all.append(.object(Shared(object))) }
        if let condition = self.condition,
            self.then != nil || self.otherwise != nil || self.rules.dialect == .draft202012
        {
            all.append(.condition(condition, then: self.then, otherwise: self.otherwise))
        }
        return all + self.applied + self.last
    }

    private mutating func addReference(_ reader: SchemaValueReader) throws(SchemaError) {
        let target = try reader.compiler.sources.target(
            of: try reader.string(), in: self.resource, at: reader.pointer)
        self.applied.append(.reference(reader.compiler.node(for: target)))
    }

    /// Dynamic only where its first target has a dynamic anchor of that name; else as good as `$ref`.
    private mutating func addDynamicReference(_ reader: SchemaValueReader) throws(SchemaError) {
        let reference = try reader.string()
        let target = try reader.compiler.sources.target(of: reference, in: self.resource, at: reader.pointer)
        let node = reader.compiler.node(for: target)
        let name = SchemaURI(reference).fragment ?? ""
        let home = reader.compiler.sources.home(of: target)
        guard reader.compiler.sources.dynamicAnchor(name, in: home) == target else {
            self.applied.append(.reference(node))
            return
        }
        self.applied.append(.dynamicReference(node, anchor: reader.compiler.anchor(name)))
    }

    private mutating func addString(_ change: (inout StringRule) throws(SchemaError) -> Void) throws(SchemaError) {
        var rule = self.string ?? StringRule()
        try change(&rule)
        self.string = rule
    }

    private mutating func addNumber(_ keyword: SchemaKeyword, _ reader: SchemaValueReader) throws(SchemaError) {
        var rule = self.number ?? NumberRule()
        let number = try reader.number()
        switch keyword {
        case .minimum: rule.least = number
        case .maximum: rule.most = number
        case .exclusiveMinimum: rule.above = number
        case .exclusiveMaximum: rule.below = number
        default:
            guard .integer(0) < number else { throw reader.failure("must be a number above 0") }
            rule.step = number
        }
        self.number = rule
    }

    private mutating func addArray(_ keyword: SchemaKeyword, _ reader: SchemaValueReader) throws(SchemaError) {
        var rule = self.array ?? ArrayRule()
        switch keyword {
        case .prefixItems: rule.prefix = try reader.schemas()
        case .items where self.rules.dialect == .draft07 && reader.isList:
            rule.prefix = try reader.schemas(isEmptyAllowed: true)
            self.takesAnyItem = true
        case .items:
            guard !reader.isList else {
                throw reader.failure("must be one schema; a list of them is called `prefixItems` since 2020-12")
            }
            rule.rest = try reader.schema()
        case .additionalItems: self.additionalItems = try reader.schema()
        case .contains: rule.contains = try reader.schema()
        case .minContains: rule.containsLeast = try reader.count()
        case .maxContains: rule.containsMost = try reader.count()
        case .minItems: rule.least = try reader.count()
        case .maxItems: rule.most = try reader.count()
        default: rule.isUnique = try reader.boolean()
        }
        self.array = rule
    }

    private mutating func addObject(_ keyword: SchemaKeyword, _ reader: SchemaValueReader) throws(SchemaError) {
        var rule = self.object ?? ObjectRule()
        switch keyword {
        case .properties:
            for member in try reader.map() { rule.names.set(member.name, schema: try reader.schema(member.value)) }
        case .patternProperties:
            for member in try reader.map() {
                let text = String(decoding: member.name, as: UTF8.self)
                let pattern = try reader.compiler.pattern(text, at: reader.compiler.pointer(member.value))
                rule.patterns.append((pattern, try reader.schema(member.value)))
            }
        case .additionalProperties: rule.additional = try reader.schema()
        case .propertyNames: rule.nameSchema = try reader.schema()
        case .minProperties: rule.least = try reader.count()
        case .maxProperties: rule.most = try reader.count()
        case .dependentRequired:
            for member in try reader.map() {
                rule.dependentRequired.append((member.name, try reader.names(member.value)))
            }
        default:
            rule.required = try reader.names()
            for (place, name) in rule.required.enumerated() { rule.names.set(name, required: place) }
        }
        self.object = rule
    }

    /// `dependencies` of draft-07 is both: names that are needed, and schemas.
    private mutating func addDependents(_ keyword: SchemaKeyword, _ reader: SchemaValueReader) throws(SchemaError) {
        var schemas: [(name: [UInt8], schema: Int)] = []
        for member in try reader.map() {
            if keyword == .dependencies, reader.compiler.sources.arena.elements(of: member.value) != nil {
                var rule = self.object ?? ObjectRule()
                rule.dependentRequired.append((member.name, try reader.names(member.value)))
                rule.dependentKeyword = keyword.rawValue
                self.object = rule
            } else {
                schemas.append((member.name, try reader.schema(member.value)))
            }
        }
        if !schemas.isEmpty { self.applied.append(.dependents(schemas, keyword: keyword.rawValue)) }
    }
}

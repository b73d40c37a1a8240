/// Reads the value of one keyword in the form that the keyword asks for.
struct SchemaValueReader {
    let compiler: SchemaCompiler
    let value: Int
    let keyword: String

    private var arena: SchemaArena { self.compiler.sources.arena }
    var pointer: String { self.compiler.pointer(self.value) }
    var isList: Bool { self.arena.elements(of: self.value) != nil }

    func failure(_ message: String, at value: Int? = nil) -> SchemaError {
        SchemaError(self.compiler.pointer(value ?? self.value), message)
    }

    func string() throws(SchemaError) -> String {
        guard let text = self.arena.string(self.value) else { throw self.failure("must be a string") }
        return text
    }

    func boolean() throws(SchemaError) -> Bool {
        guard case .boolean(let value) = self.arena[self.value] else { throw self.failure("must be true or false") }
        return value
    }

    func number() throws(SchemaError) -> SchemaNumber {
        guard case .number(let number) = self.arena[self.value] else {
            if case .boolean = self.arena[self.value], self.keyword.hasPrefix("exclusive") {
                throw self.failure("must be a number; the Boolean form ended with draft-04")
            }
            throw self.failure("must be a number")
        }
        return number
    }

    /// A count: an integer that is not negative. One beyond what any value has means no bound.
    func count() throws(SchemaError) -> Int {
        guard case .number(let number) = self.arena[self.value], number.isIntegral, !(number < .integer(0)) else {
            throw self.failure("must be an integer that is not negative")
        }
        guard case .integer(let value) = number.normal else { return Int.max }
        return Int(value)
    }

    func literal(_ value: Int) -> SchemaLiteral { SchemaLiteral(value, in: self.arena) }

    func list() throws(SchemaError) -> [Int] {
        guard let elements = self.arena.elements(of: self.value) else { throw self.failure("must be an array") }
        return elements
    }

    func map() throws(SchemaError) -> [SchemaArena.Member] {
        guard let members = self.arena.members(of: self.value) else { throw self.failure("must be an object") }
        return members
    }

    /// Different strings.
    func names(_ value: Int? = nil) throws(SchemaError) -> [[UInt8]] {
        guard let elements = self.arena.elements(of: value ?? self.value) else {
            if self.keyword == "required" {
                throw self.failure("must be an array of the required properties' names, beside `properties`")
            }
            throw self.failure("must be an array of names", at: value)
        }
        var names: [[UInt8]] = []
        var known: Set<[UInt8]> = []
        for element in elements {
            guard case .string(let name) = self.arena[element] else {
                throw self.failure("must be a name", at: element)
            }
            guard known.insert(name).inserted else { throw self.failure("is in the list twice", at: element) }
            names.append(name)
        }
        return names
    }

    func types() throws(SchemaError) -> TypeSet {
        var types: TypeSet = []
        for value in self.arena.elements(of: self.value) ?? [self.value] {
            let name = self.arena.string(value)
            guard let type = TypeSet.names.first(where: { $0.name == name })?.type else {
                throw self.failure("must be one of \(TypeSet.names.map(\.name).joined(separator: ", "))", at: value)
            }
            types.insert(type)
        }
        guard !types.isEmpty else { throw self.failure("must name a type") }
        return types
    }

    func pattern() throws(SchemaError) -> Pattern {
        try self.compiler.pattern(try self.string(), at: self.pointer)
    }

    func schema() throws(SchemaError) -> Int { try self.schema(self.value) }

    func schema(_ value: Int) throws(SchemaError) -> Int {
        switch self.arena[value] {
        case .object, .boolean: return self.compiler.node(for: value)
        default: throw self.failure("must be a schema: an object or a Boolean", at: value)
        }
    }

    func schemas(isEmptyAllowed: Bool = false) throws(SchemaError) -> [Int] {
        let elements = try self.list()
        guard isEmptyAllowed || !elements.isEmpty else { throw self.failure("must hold at least one schema") }
        var nodes: [Int] = []
        for element in elements { nodes.append(try self.schema(element)) }
        return nodes
    }
}

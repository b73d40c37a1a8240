internal import ApusCore

/// Makes nodes of subschemas, beginning with the outermost one and following what it refers to.
///
/// Nodes are made from a list of what is still to do, never by recursion: a chain of references may be long.
final class SchemaCompiler {
    var sources: SchemaSources
    private(set) var nodes: [SchemaNode] = []
    private(set) var anchorNames: [String] = []
    /// By name of a dynamic anchor: the node in each resource that has it.
    private(set) var anchorNodes: [[Int: Int]] = []
    private var places: [Int: Int] = [:]
    private var pending: [(schema: Int, node: Int)] = []
    private var patterns: [String: Pattern] = [:]

    init(_ text: [UInt8], library: SchemaLibrary) throws(SchemaError) {
        self.sources = SchemaSources(library: library)
        let root = try self.sources.add(text, at: "apus:/schema")
        guard self.sources.arena.members(of: root) != nil || self.isTruth(root) else {
            throw SchemaError("", "is neither an object nor a Boolean")
        }
        _ = self.node(for: root)
        try self.compilePending()
        try self.refuseCircles()
    }

    var dialect: SchemaDialect { self.sources.resources[0].rules.dialect }

    private func isTruth(_ value: Int) -> Bool { if case .boolean = self.sources.arena[value] { true } else { false } }

    /// The node of a subschema, which is made later.
    func node(for schema: Int) -> Int {
        if let known = self.places[schema] { return known }
        self.nodes.append(SchemaNode([], resource: self.sources.home(of: schema)))
        self.places[schema] = self.nodes.count - 1
        self.pending.append((schema, self.nodes.count - 1))
        return self.nodes.count - 1
    }

    private func compilePending() throws(SchemaError) {
        repeat {
            while let (schema, node) = self.pending.popLast() {
                guard self.nodes.count <= Limits.Schema.subschemas else {
                    throw SchemaError("", "leads to more than \(Limits.Schema.subschemas) subschemas")
                }
                try self.compile(schema, into: node)
            }
            self.followAnchors()
        } while !self.pending.isEmpty
    }

    /// Every place where a dynamic reference may land is compiled, in every resource known by now.
    private func followAnchors() {
        for (place, name) in self.anchorNames.enumerated() {
            for resource in self.sources.resources.indices {
                guard let schema = self.sources.dynamicAnchor(name, in: resource) else { continue }
                self.anchorNodes[place][resource] = self.node(for: schema)
            }
        }
    }

    private func compile(_ schema: Int, into node: Int) throws(SchemaError) {
        let arena = self.sources.arena
        guard let members = arena.members(of: schema) else {
            if case .boolean(false) = arena[schema] {
                self.nodes[node] = SchemaNode([.nothing], resource: self.nodes[node].resource)
            }
            return
        }
        let resource = self.sources.home(of: schema)
        let rules = self.sources.resources[resource].rules
        var builder = SchemaNodeBuilder(schema: schema, resource: resource, rules: rules)
        let isOnlyReference = rules.dialect == .draft07 && arena.member("$ref", of: schema) != nil
        for member in members {
            guard let keyword = SchemaKeyword(member.name, rules.dialect), rules.validates || !keyword.isValidation,
                !isOnlyReference || keyword == .reference
            else { continue }
            try builder.add(keyword, member.value, self)
        }
        self.nodes[node] = SchemaNode(builder.finish(), resource: resource, asksForRest: builder.asksForRest)
    }

    // MARK: for the builder of a node

    func pointer(_ value: Int) -> String { self.sources.arena.pointer(to: value) }

    /// The place of a dynamic anchor's name in the table of them.
    func anchor(_ name: String) -> Int {
        if let known = self.anchorNames.firstIndex(of: name) { return known }
        self.anchorNames.append(name)
        self.anchorNodes.append([:])
        return self.anchorNames.count - 1
    }

    func pattern(_ text: String, at pointer: String) throws(SchemaError) -> Pattern {
        if let known = self.patterns[text] { return known }
        do throws(PatternError) {
            let pattern = try Pattern(text)
            self.patterns[text] = pattern
            return pattern
        } catch {
            throw SchemaError(pointer, "the pattern \(error)")
        }
    }

    // MARK: circles

    /// Refuses a schema that would be applied to the same value for ever.
    private func refuseCircles() throws(SchemaError) {
        enum Mark { case new, open, done }
        var marks = Array(repeating: Mark.new, count: self.nodes.count)
        for start in self.nodes.indices where marks[start] == .new {
            var path = [(node: start, next: self.inPlace(start)[...])]
            marks[start] = .open
            while let last = path.last {
                guard let next = last.next.first else {
                    marks[last.node] = .done
                    path.removeLast()
                    continue
                }
                path[path.count - 1].next = last.next.dropFirst()
                switch marks[next] {
                case .open:
                    let schema = self.places.first { $0.value == next }?.key ?? 0
                    throw SchemaError(self.pointer(schema), "refers to itself without going into the value")
                case .new:
                    marks[next] = .open
                    path.append((next, self.inPlace(next)[...]))
                case .done: break
                }
            }
        }
    }

    /// The nodes that are applied to the same value as a node.
    private func inPlace(_ node: Int) -> [Int] {
        self.nodes[node].rules.flatMap { rule -> [Int] in
            switch rule {
            case .reference(let target), .not(let target): [target]
            case .allOf(let parts), .anyOf(let parts), .oneOf(let parts): parts
            case .condition(let condition, let then, let otherwise):
                [condition] + [then, otherwise].compactMap(\.self)
            case .dependents(let dependents, _): dependents.map(\.schema)
            default: []
            }
        }
    }
}

internal import ApusCore

/// A schema resource: what has a URI of its own, and the names by which its parts are referred to.
struct SchemaResource {
    let uri: SchemaURI
    let root: Int
    var rules: SchemaRules
    var anchors: [String: Int] = [:]
    var dynamicAnchors: [String: Int] = [:]
}

/// Which keywords count in a resource.
struct SchemaRules {
    var dialect: SchemaDialect
    /// Whether the vocabulary with `type`, `minimum` and their like is in force; a metaschema of one's own may leave it out.
    var validates = true
}

/// The texts that a schema is made from, with every subschema's home: its own, and what it refers to.
struct SchemaSources {
    private(set) var arena = SchemaArena()
    private(set) var resources: [SchemaResource] = []
    private let library: SchemaLibrary
    private var byURI: [String: Int] = [:]
    /// The resource that each subschema found so far lies in.
    private var homes: [Int: Int] = [:]

    init(library: SchemaLibrary) { self.library = library }

    /// Adds the text at `uri`, with the resources inside it.
    /// - Parameter dialect: what it is read as where it does not say.
    /// - Returns: its outermost value.
    mutating func add(
        _ text: [UInt8], at uri: String, _ dialect: SchemaDialect = .draft202012
    ) throws(SchemaError) -> Int {
        let root = try self.arena.add(text)
        var rules = SchemaRules(dialect: dialect)
        if let named = self.arena.string("$schema", of: root) { rules = try self.rules(named, at: root, uri: uri) }
        self.resources.append(SchemaResource(uri: SchemaURI(uri), root: root, rules: rules))
        self.byURI[SchemaURI(uri).withoutFragment] = self.resources.count - 1
        try self.scan(root, in: self.resources.count - 1)
        return root
    }

    /// The resource that a subschema lies in.
    func home(of schema: Int) -> Int { self.homes[schema] ?? 0 }

    // MARK: finding the parts

    /// Walks a subschema and those inside it, noting resources and anchors.
    private mutating func scan(_ start: Int, in resource: Int) throws(SchemaError) {
        var open = [(schema: start, resource: resource)]
        while let (schema, outer) = open.popLast() {
            guard self.homes[schema] == nil else { continue }
            guard self.homes.count < Limits.Schema.subschemas else {
                throw SchemaError(
                    self.arena.pointer(to: schema),
                    "is one subschema too many; at most \(Limits.Schema.subschemas) are read")
            }
            let home = try self.home(of: schema, within: outer)
            self.homes[schema] = home
            try self.note(anchorsOf: schema, in: home)
            for child in self.subschemas(of: schema, self.resources[home].rules.dialect) { open.append((child, home)) }
        }
    }

    /// The resource that a subschema lies in: one of its own where it has an `$id`.
    private mutating func home(of schema: Int, within outer: Int) throws(SchemaError) -> Int {
        var rules = self.resources[outer].rules
        if rules.dialect == .draft07 && self.arena.member("$ref", of: schema) != nil { return outer }
        guard let id = self.arena.string("$id", of: schema) else { return outer }
        let uri = SchemaURI(id).resolved(against: self.resources[outer].uri)
        if let fragment = SchemaURI(id).fragment, !fragment.isEmpty {
            guard rules.dialect == .draft07 else {
                throw SchemaError(
                    self.arena.pointer(to: schema) + "/$id", "has a fragment; name this part with $anchor")
            }
            if SchemaURI(id).withoutFragment.isEmpty {
                try self.add(anchor: fragment, schema, in: outer)
                return outer
            }
        }
        if schema == self.resources[outer].root {
            // The outermost schema is known by its own name and by the one it was loaded from.
            self.resources[outer] = SchemaResource(uri: uri, root: schema, rules: rules)
            self.byURI[uri.withoutFragment] = outer
            return outer
        }
        if let named = self.arena.string("$schema", of: schema) {
            rules = try self.rules(named, at: schema, uri: uri.withoutFragment)
        }
        if let known = self.byURI[uri.withoutFragment], self.resources[known].root != schema {
            throw SchemaError(
                self.arena.pointer(to: schema) + "/$id", "`\(uri.withoutFragment)` is the name of another schema here")
        }
        self.resources.append(SchemaResource(uri: uri, root: schema, rules: rules))
        self.byURI[uri.withoutFragment] = self.resources.count - 1
        return self.resources.count - 1
    }

    private mutating func note(anchorsOf schema: Int, in resource: Int) throws(SchemaError) {
        guard self.resources[resource].rules.dialect == .draft202012 else { return }
        if let anchor = self.arena.string("$anchor", of: schema) { try self.add(anchor: anchor, schema, in: resource) }
        if let anchor = self.arena.string("$dynamicAnchor", of: schema) {
            try self.add(anchor: anchor, schema, in: resource)
            self.resources[resource].dynamicAnchors[anchor] = schema
        }
    }

    private mutating func add(anchor: String, _ schema: Int, in resource: Int) throws(SchemaError) {
        if let known = self.resources[resource].anchors[anchor], known != schema {
            throw SchemaError(self.arena.pointer(to: schema), "has the anchor `\(anchor)`, which is used twice")
        }
        self.resources[resource].anchors[anchor] = schema
    }

    /// The values that are schemas inside a schema, by the keywords that hold them.
    private func subschemas(of schema: Int, _ dialect: SchemaDialect) -> [Int] {
        guard let members = self.arena.members(of: schema) else { return [] }
        var found: [Int] = []
        for member in members {
            switch SchemaKeyword(member.name, dialect)?.holds {
            case .schema: found.append(member.value)
            case .list: found += self.arena.elements(of: member.value) ?? []
            case .map: found += self.arena.members(of: member.value)?.map(\.value) ?? []
            case .schemaOrList: found += self.arena.elements(of: member.value) ?? [member.value]
            case .nothing, nil: break
            }
        }
        return found.filter { self.isSchema($0) }
    }

    private func isSchema(_ value: Int) -> Bool {
        switch self.arena[value] {
        case .object, .boolean: true
        default: false
        }
    }

    // MARK: following references

    /// The schema that `reference` means within `resource`.
    mutating func target(of reference: String, in resource: Int, at pointer: String) throws(SchemaError) -> Int {
        let uri = SchemaURI(reference).resolved(against: self.resources[resource].uri)
        let document = uri.withoutFragment
        if self.byURI[document] == nil {
            guard let text = self.library.text(at: document) else {
                throw SchemaError(
                    pointer,
                    "refers to `\(reference)`, which is not in this schema; nothing is fetched: put it under $defs")
            }
            _ = try self.add(text, at: document, self.resources[resource].rules.dialect)
        }
        guard let found = self.byURI[document] else {
            throw SchemaError(pointer, "refers to `\(reference)`, which is not in this schema")
        }
        let fragment = uri.decodedFragment
        guard let parts = JSONPointer.parts(fragment) else {
            let name = String(decoding: fragment, as: UTF8.self)
            guard let anchor = self.resources[found].anchors[name] else {
                throw SchemaError(pointer, "refers to the anchor `\(name)`, which no schema has")
            }
            return anchor
        }
        return try self.walk(parts, from: self.resources[found].root, reference, pointer)
    }

    private mutating func walk(
        _ parts: [[UInt8]], from root: Int, _ reference: String, _ pointer: String
    ) throws(SchemaError) -> Int {
        var at = root
        var home = self.home(of: root)
        for part in parts {
            if let member = self.arena.member(part, of: at) {
                at = member
            } else if let elements = self.arena.elements(of: at),
                let index = Int(String(decoding: part, as: UTF8.self)),
                elements.indices.contains(index)
            {
                at = elements[index]
            } else {
                throw SchemaError(pointer, "refers to `\(reference)`, where there is nothing")
            }
            home = self.homes[at] ?? home
        }
        guard self.isSchema(at) else { throw SchemaError(pointer, "refers to `\(reference)`, which is no schema") }
        // What lies under a keyword that nobody knows becomes a schema by being referred to.
        try self.scan(at, in: home)
        return at
    }

    /// The outermost anchor of a name that a dynamic reference may land on, by resource.
    func dynamicAnchor(_ name: String, in resource: Int) -> Int? { self.resources[resource].dynamicAnchors[name] }

    // MARK: dialects

    /// What `$schema` asks for: a known dialect, or a metaschema of the library that is built on one.
    private mutating func rules(_ named: String, at schema: Int, uri: String) throws(SchemaError) -> SchemaRules {
        if let dialect = SchemaDialect(uri: named) { return SchemaRules(dialect: dialect) }
        var arena = SchemaArena()
        guard let text = self.library.text(at: SchemaURI(named).withoutFragment), case let root = try arena.add(text),
            let parent = arena.string("$schema", of: root), let dialect = SchemaDialect(uri: parent)
        else {
            throw SchemaError(
                self.arena.pointer(to: schema) + "/$schema",
                "is `\(named)`; known are \(SchemaDialect.allCases.map { "`\($0.rawValue)`" }.joined(separator: " and "))"
            )
        }
        guard let vocabulary = arena.member("$vocabulary", of: root) else { return SchemaRules(dialect: dialect) }
        let validation = "https://json-schema.org/draft/2020-12/vocab/validation"
        return SchemaRules(dialect: dialect, validates: arena.member(validation, of: vocabulary) != nil)
    }
}

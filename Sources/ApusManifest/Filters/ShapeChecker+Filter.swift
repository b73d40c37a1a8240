internal import ApusCore
internal import ApusJSON

extension ShapeChecker {
    /// A filter and all filters inside it.
    mutating func filter(_ node: YAMLNode, _ path: String) -> Checked.Value? {
        guard let filter = self.part(node, path) else { return nil }
        let size = FilterSize(filter)
        guard size.isWithinBounds else {
            self.fail(
                node.location,
                "`\(path)` is too large: \(size.nodes) parts and \(size.references.count) different values in "
                    + "\(size.depth) levels, expected at most \(Limits.Filter.nodes), \(Limits.Filter.references) and "
                    + "\(Limits.Filter.depth), and patterns after LIKE of at most \(Limits.Filter.patternCharacters) "
                    + "characters")
            return nil
        }
        return .filter(filter)
    }

    /// One mapping: what it says holds all at once.
    private mutating func part(_ node: YAMLNode, _ path: String) -> EventFilter? {
        guard case .mapping(let entries) = node.content else { return self.wrongPart(node, path) }
        guard entries.count <= Limits.Manifest.filterTerms else {
            self.fail(
                node.location,
                "`\(path)` has \(entries.count) entries, expected at most \(Limits.Manifest.filterTerms)")
            return nil
        }
        let errorsBefore = self.errors.count
        let isDialect = { (entry: YAMLNode.Entry) in EventFilter.dialects.contains(entry.key) }
        let own = entries.filter { !isDialect($0) }.compactMap { self.condition($0, path, mayBeEmpty: true) }
        var parts: [EventFilter] = own.isEmpty ? [] : [.exact(Self.sorted(own))]
        for name in EventFilter.dialects {
            guard let entry = entries.first(where: { $0.key == name }) else { continue }
            if let part = self.dialect(entry, self.join(path, name)) { parts.append(part) }
        }
        guard self.errors.count == errorsBefore else { return nil }
        return parts.count == 1 ? parts[0] : .all(parts)
    }

    private mutating func wrongPart(_ node: YAMLNode, _ path: String) -> EventFilter? {
        _ = self.wrong(
            node, path, "a mapping of attributes to their texts, or of exact, prefix, suffix, all, any, not, sql")
        return nil
    }

    private mutating func dialect(_ entry: YAMLNode.Entry, _ path: String) -> EventFilter? {
        switch entry.key {
        case "exact": self.conditions(entry.value, path, mayBeEmpty: true).map { .exact($0) }
        case "prefix": self.conditions(entry.value, path, mayBeEmpty: false).map { .prefix($0) }
        case "suffix": self.conditions(entry.value, path, mayBeEmpty: false).map { .suffix($0) }
        case "all": self.parts(entry.value, path).map { .all($0) }
        case "any": self.parts(entry.value, path).map { .any($0) }
        case "not": self.part(entry.value, path).map { .not($0) }
        default: self.sql(entry.value, path)
        }
    }

    private mutating func parts(_ node: YAMLNode, _ path: String) -> [EventFilter]? {
        guard case .sequence(let nodes) = node.content, (1...Limits.Manifest.filterTerms).contains(nodes.count) else {
            _ = self.wrong(node, path, "a list of 1 to \(Limits.Manifest.filterTerms) filters")
            return nil
        }
        return nodes.enumerated().compactMap { self.part($1, "\(path)[\($0)]") }
    }

    private mutating func conditions(_ node: YAMLNode, _ path: String, mayBeEmpty: Bool) -> [FilterCondition]? {
        guard case .mapping(let entries) = node.content, (1...Limits.Manifest.filterTerms).contains(entries.count)
        else {
            _ = self.wrong(node, path, "a mapping of 1 to \(Limits.Manifest.filterTerms) attributes to their texts")
            return nil
        }
        return Self.sorted(entries.compactMap { self.condition($0, path, mayBeEmpty: mayBeEmpty) })
    }

    /// One form for what means the same.
    private static func sorted(_ conditions: [FilterCondition]) -> [FilterCondition] {
        conditions.sorted { $0.reference.description < $1.reference.description }
    }

    private mutating func condition(_ entry: YAMLNode.Entry, _ path: String, mayBeEmpty: Bool) -> FilterCondition? {
        guard let reference = self.reference(entry, path) else { return nil }
        let place = self.join(path, entry.key)
        guard let text = self.check(entry.value, .scalarText(.any), place)?.text else { return nil }
        if reference == .attribute("specversion") {
            self.fail(
                entry.value.location,
                "`\(place)` is the version, which is always 1.0, expected an attribute such as type, source or subject")
            return nil
        }
        guard mayBeEmpty || !text.isEmpty else {
            self.fail(entry.value.location, "`\(place)` is empty, expected at least one character")
            return nil
        }
        return FilterCondition(reference, text)
    }

    private mutating func reference(_ entry: YAMLNode.Entry, _ path: String) -> FilterReference? {
        if TextRule.attribute.isMet(by: entry.key), entry.key != "data" { return .attribute(entry.key) }
        let isPath = entry.key.hasPrefix("data") || entry.key.hasPrefix("headers[")
        do throws(ExpressionError) {
            if isPath { return try ExpressionParser.reference(entry.key) }
            throw ExpressionError(at: 0, message: "expected \(TextRule.attribute.expected)")
        } catch {
            let hint = Suggestion.hint(for: entry.key, among: EventFilter.dialects)
            self.fail(
                entry.keyLocation, "`\(path)` has the name `\(YAMLNode.shorten(entry.key))`: \(error.message)\(hint)")
            return nil
        }
    }

    // MARK: sql

    private mutating func sql(_ node: YAMLNode, _ path: String) -> EventFilter? {
        guard case .string(let text) = node.content else {
            _ = self.wrong(node, path, "a CESQL expression")
            return nil
        }
        do throws(ExpressionError) {
            let parsed = try ExpressionParser.parse(text)
            if let missing = parsed.missing { throw missing }
            guard parsed.expression.mayBeBoolean else {
                throw ExpressionError(
                    at: 0, message: "it gives no Boolean, so that no event passes: compare it with something")
            }
            return .sql(text, parsed.expression)
        } catch {
            let place = node.place(ofCharacter: error.at)
            let character = error.at == 0 ? "" : " at character \(error.at + 1)"
            self.fail(place ?? node.location, "`\(path)` is no condition\(character): \(error.message)")
            return nil
        }
    }
}

extension FilterExpression {
    /// Whether the value can be a Boolean: attributes can be of any type.
    fileprivate var mayBeBoolean: Bool {
        switch self {
        case .boolean, .value, .exists, .not, .like, .isIn: true
        case .integer, .text, .negated: false
        case .binary(let operation, _, _):
            switch operation {
            case .add, .subtract, .multiply, .divide, .remainder: false
            default: true
            }
        case .call(let name, _): name == FilterFunction.bool.name
        }
    }
}

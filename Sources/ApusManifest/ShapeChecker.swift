internal import ApusCore
internal import ApusJSON

/// Checks values against their shapes and gathers all that is wrong.
struct ShapeChecker {
    private(set) var errors: [ManifestError] = []
    private(set) var locations = SourceLocations()

    mutating func fail(_ location: SourceLocation?, _ message: String, _ code: ErrorCode = .manifestInvalid) {
        // A bound on memory: what is shown is bounded by `ManifestErrors`.
        guard self.errors.count < 10 * Limits.Manifest.errors else { return }
        self.errors.append(ManifestError(code, location, message))
    }

    mutating func noteTrigger(_ name: String, _ path: String) { self.locations.noteTrigger(name, path) }

    mutating func refuse(_ location: SourceLocation?, _ what: String) {
        self.fail(location, "\(what) is not yet supported", .notYetSupported)
    }

    /// - Returns: nil when the value is wrong; then the errors say why.
    mutating func check(_ node: YAMLNode, _ shape: Shape, _ path: String) -> Checked? {
        self.locations.note(path, node.location)
        guard let value = self.value(node, shape, path) else { return nil }
        return Checked(value: value, path: path, location: node.location)
    }

    mutating func wrong(_ node: YAMLNode, _ path: String, _ expected: String, hint: String = "") -> Checked
        .Value?
    {
        self.fail(node.location, "`\(path)` is \(node.found), expected \(expected)\(hint)")
        return nil
    }

    private mutating func value(_ node: YAMLNode, _ shape: Shape, _ path: String) -> Checked.Value? {
        switch shape {
        case .text(let rule): return self.text(node, rule, path)
        case .scalarText(let rule):
            guard node.isScalar, !node.isNull else { return self.wrong(node, path, "text, a number or a Boolean") }
            return self.text(YAMLNode(.string(node.text), text: node.text, location: node.location), rule, path)
        case .boolean:
            guard case .boolean(let value) = node.content else {
                let isOld = ["yes", "no", "on", "off", "y", "n"].contains(node.text.lowercased())
                return self.wrong(node, path, "true or false", hint: isOld ? " (text in YAML 1.2)" : "")
            }
            return .boolean(value)
        case .integer(let range):
            guard case .integer(let value) = node.content, range.contains(value) else {
                return self.wrong(node, path, "a whole number from \(range.lowerBound) to \(range.upperBound)")
            }
            return .integer(value)
        case .fraction:
            guard let value = node.json.double, (0...1).contains(value) else {
                return self.wrong(node, path, "a number from 0 to 1")
            }
            return .json(.double(value))
        case .money:
            guard let amount = node.json.double, Money(amount) ?? .zero > .zero else {
                return self.wrong(node, path, "a number above 0, at most \(Money.most.text)")
            }
            return .json(node.json)
        case .span, .bytes, .cpu: return self.amount(node, shape, path)
        case .choice(let choices): return self.choice(node, choices, path)
        case .wordOr(let words, let shape):
            if node.isScalar, let word = words.first(where: { $0.name == node.text }) {
                if word.support != .now { self.refuse(node.location, "`\(path): \(word.name)`") }
                return .text(word.name)
            }
            return self.value(node, shape, path)
        case .scalarOr(let scalar, let structured): return self.value(node, node.isScalar ? scalar : structured, path)
        case .list(let shape, let max): return self.list(node, shape, max, path)
        case .map(let key, let shape, let max): return self.map(node, key, shape, max, path)
        case .object(let shape): return self.object(node, shape, path)
        case .filter: return self.filter(node, path)
        case .json: return .json(node.json)
        }
    }

    // MARK: scalars

    mutating func text(_ node: YAMLNode, _ rule: TextRule, _ path: String) -> Checked.Value? {
        guard case .string(let text) = node.content else {
            let isQuotable = node.isScalar && !node.isNull
            return self.wrong(node, path, isQuotable ? "text: put it in quotes" : rule.expected)
        }
        guard rule.isMet(by: text) else {
            guard let reason = rule.reason(against: text) else { return self.wrong(node, path, rule.expected) }
            self.fail(node.location, "`\(path)` is `\(YAMLNode.shorten(text))`: \(reason)")
            return nil
        }
        if rule == .topic, TopicName.isReserved(text) {
            self.fail(
                node.location,
                "`\(path)` is `\(YAMLNode.shorten(text))`, a reserved name, "
                    + "expected one that does not start with `apus.` or `ns.`",
                .reservedName)
            return nil
        }
        return .text(text)
    }

    private mutating func amount(_ node: YAMLNode, _ shape: Shape, _ path: String) -> Checked.Value? {
        let text = node.isScalar ? node.text : ""
        switch shape {
        case .span(let range):
            guard let span = Quantity.span(text) else {
                return self.wrong(node, path, "a length of time such as 200ms, 30s, 5m, 4h or 7d")
            }
            guard range.contains(span) else {
                return self.wrong(node, path, "\(range.lowerBound) to \(range.upperBound)")
            }
            return .integer(span.microseconds)
        case .bytes(let range):
            guard let bytes = Quantity.bytes(text) else {
                return self.wrong(node, path, "a size such as 64Ki, 512Mi or 1Gi")
            }
            guard range.contains(bytes) else {
                return self.wrong(
                    node, path, "\(Quantity.text(bytes: range.lowerBound)) to \(Quantity.text(bytes: range.upperBound))"
                )
            }
            return .integer(bytes)
        case .cpu(let range):
            guard let millis = Quantity.cpuMillis(text) else {
                return self.wrong(node, path, "a number of CPUs such as 1, 0.5 or 500m")
            }
            guard range.contains(millis) else {
                return self.wrong(
                    node, path,
                    "\(Quantity.text(cpuMillis: range.lowerBound)) to \(Quantity.text(cpuMillis: range.upperBound))")
            }
            return .integer(millis)
        default: return nil
        }
    }

    private mutating func choice(_ node: YAMLNode, _ choices: [Choice], _ path: String) -> Checked.Value? {
        let names = choices.map(\.name)
        guard node.isScalar, !node.isNull, let choice = choices.first(where: { $0.name == node.text }) else {
            let hint = node.isScalar ? Suggestion.hint(for: node.text, among: names) : ""
            let expected = names.count == 1 ? "`\(names[0])`" : "one of \(names.joined(separator: ", "))"
            return self.wrong(node, path, expected, hint: hint)
        }
        if choice.support != .now { self.refuse(node.location, "`\(path): \(choice.name)`") }
        return .text(choice.name)
    }

    // MARK: structures

    private mutating func list(_ node: YAMLNode, _ shape: Shape, _ max: Int, _ path: String) -> Checked.Value? {
        guard case .sequence(let nodes) = node.content else { return self.wrong(node, path, "a list") }
        guard nodes.count <= max else {
            self.fail(node.location, "`\(path)` has \(nodes.count) elements, expected at most \(max)")
            return nil
        }
        return .list(nodes.enumerated().compactMap { self.check($1, shape, "\(path)[\($0)]") })
    }

    private mutating func map(_ node: YAMLNode, _ key: TextRule, _ shape: Shape, _ max: Int, _ path: String) -> Checked
        .Value?
    {
        guard case .mapping(let entries) = node.content else {
            return self.wrong(node, path, "a mapping of names to values")
        }
        guard entries.count <= max else {
            self.fail(node.location, "`\(path)` has \(entries.count) entries, expected at most \(max)")
            return nil
        }
        return .map(entries.compactMap { self.entry($0, key, shape, path) })
    }

    private mutating func entry(
        _ entry: YAMLNode.Entry, _ key: TextRule, _ shape: Shape, _ path: String
    ) -> (name: String, value: Checked)? {
        guard key.isMet(by: entry.key) else {
            self.fail(
                entry.keyLocation, "`\(path)` has the name `\(YAMLNode.shorten(entry.key))`, expected \(key.expected)")
            return nil
        }
        return self.check(entry.value, shape, "\(path).\(entry.key)").map { (entry.key, $0) }
    }

    mutating func object(_ node: YAMLNode, _ shape: ObjectShape, _ path: String) -> Checked.Value? {
        guard case .mapping(let entries) = node.content else {
            return self.wrong(node, path.isEmpty ? "document" : path, "a mapping")
        }
        var found: [(name: String, value: Checked)] = []
        // A field with nothing after its colon counts as left out.
        let present = entries.filter { !$0.value.isNull || (shape.others != nil && shape.field($0.key) == nil) }
        for entry in present {
            if let field = shape.field(entry.key) {
                if let value = self.field(entry, field, path) { found.append((entry.key, value)) }
            } else if let others = shape.others {
                if let value = self.entry(entry, others.key, others.value, path) { found.append(value) }
            }
        }
        if let others = shape.others, present.count > others.max {
            self.fail(node.location, "`\(path)` has \(present.count) entries, expected at most \(others.max)")
        }
        self.refuseUnknown(entries, shape, path)
        self.checkPresence(present, shape, path, node.location)
        for field in shape.fields where !present.contains(where: { $0.key == field.name }) {
            guard let standard = field.standard else { continue }
            // Defaults go through the same check, so that a table cannot promise what the parser would refuse.
            if let value = self.check(YAMLNode(json: standard), field.shape, self.join(path, field.name)) {
                found.append((field.name, value))
            }
        }
        return .map(found)
    }

    private mutating func field(_ entry: YAMLNode.Entry, _ field: Field, _ path: String) -> Checked? {
        let path = self.join(path, field.name)
        let errorsBefore = self.errors.count
        let value = self.check(entry.value, field.shape, path)
        guard field.support != .now, self.errors.count == errorsBefore else { return value }
        self.refuse(entry.keyLocation ?? entry.value.location, "`\(path)`")
        return value
    }

    private mutating func refuseUnknown(_ entries: [YAMLNode.Entry], _ shape: ObjectShape, _ path: String) {
        guard shape.others == nil else { return }
        for entry in entries where shape.field(entry.key) == nil {
            let names = shape.fields.map(\.name)
            let hint = Suggestion.hint(for: entry.key, among: names)
            let place = path.isEmpty ? "the document" : "`\(path)`"
            let expected =
                hint.isEmpty ? ", expected one of \(names.joined(separator: ", "))" : ", expected a known field\(hint)"
            self.fail(entry.keyLocation, "unknown field `\(YAMLNode.shorten(entry.key))` in \(place)\(expected)")
        }
    }

    private mutating func checkPresence(
        _ present: [YAMLNode.Entry], _ shape: ObjectShape, _ path: String, _ location: SourceLocation?
    ) {
        let names = Set(present.map(\.key))
        for field in shape.fields where field.isRequired && !names.contains(field.name) {
            self.fail(location, "`\(self.join(path, field.name))` is missing, expected \(self.summary(field))")
        }
        for group in shape.exactlyOneOf where group.filter(names.contains).isEmpty {
            self.fail(location, "`\(path)` says none of \(group.joined(separator: ", ")), expected one of them")
        }
        for group in shape.exactlyOneOf + shape.atMostOneOf {
            let said = group.filter(names.contains)
            guard said.count > 1, let second = present.filter({ said.contains($0.key) }).dropFirst().first else {
                continue
            }
            let place = path.isEmpty ? "the document" : "`\(path)`"
            self.fail(
                second.keyLocation ?? location,
                "\(place) says \(said.joined(separator: " and ")), expected only one of them")
        }
    }

    func join(_ path: String, _ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

    /// For messages about a missing field.
    private func summary(_ field: Field) -> String {
        switch field.shape {
        case .choice(let choices) where choices.count == 1: "`\(choices[0].name)`"
        case .choice(let choices): "one of " + choices.map(\.name).joined(separator: ", ")
        case .text(let rule): rule.expected
        default: field.about.prefix(1).lowercased() + field.about.dropFirst()
        }
    }
}

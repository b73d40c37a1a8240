internal import ApusCore
internal import ApusJSON

/// One check of one value: walks the nodes that apply, counts what that costs, and collects what does not fit.
struct SchemaCheck {
    /// A step on the way into the value.
    enum Place {
        case member(JSONView)
        case element(Int)
    }

    let schema: CompiledSchema
    /// Whether violations are wanted: then nothing stops at the first.
    var isCollecting: Bool
    private(set) var violations: [SchemaViolation] = []
    /// Whether a bound was reached, which no keyword may turn into an acceptance.
    private(set) var isExhausted = false
    private var steps = 0
    private var depth = 0
    private var path: [Place] = []
    /// The resources entered on the way to here, for dynamic references.
    private var scopes: [Int] = []

    init(_ schema: CompiledSchema, isCollecting: Bool) {
        self.schema = schema
        self.isCollecting = isCollecting
    }

    /// Whether the value fits; each check is run once.
    mutating func run(_ view: JSONView) -> Bool {
        var seen = SeenParts(isWanted: false)
        let holds = self.holds(0, view, &seen)
        return holds && !self.isExhausted
    }

    // MARK: bounds

    /// Pays for work; false once the check has cost what it may.
    mutating func pay(_ cost: Int) -> Bool {
        self.steps += cost
        if self.steps > Limits.Schema.steps && !self.isExhausted {
            self.exhaust(
                "is too large or too deeply nested to be checked in \(Limits.Schema.steps) steps; make it smaller")
        }
        return !self.isExhausted
    }

    private mutating func exhaust(_ message: String) {
        self.isExhausted = true
        if self.isCollecting || self.violations.isEmpty {
            self.violations.append(SchemaViolation(self.pointer, "", message))
        }
    }

    // MARK: violations

    private var pointer: String {
        self.path.map { place in
            switch place {
            case .member(let key): "/" + JSONPointer.escaped(key.string ?? "")
            case .element(let index): "/\(index)"
            }
        }.joined()
    }

    /// Notes what does not fit, where that is wanted.
    /// - Returns: false, for the caller to return.
    mutating func refuse(_ keyword: String, _ message: @autoclosure () -> String) -> Bool {
        if self.isCollecting && self.violations.count < Limits.Schema.violations {
            self.violations.append(SchemaViolation(self.pointer, keyword, message()))
        }
        return false
    }

    /// Runs `body` without collecting, as for the alternatives of `anyOf`.
    mutating func quietly(_ node: Int, _ view: JSONView, _ seen: inout SeenParts) -> Bool {
        let isCollecting = self.isCollecting
        self.isCollecting = false
        defer { self.isCollecting = isCollecting }
        return self.holds(node, view, &seen)
    }

    /// The first thing that an alternative has against the value.
    mutating func firstViolation(_ node: Int, _ view: JSONView) -> SchemaViolation? {
        guard self.isCollecting && !self.isExhausted else { return nil }
        let kept = self.violations
        self.violations = []
        var seen = SeenParts(isWanted: false)
        _ = self.holds(node, view, &seen)
        let first = self.violations.first
        self.violations = kept
        return first
    }

    // MARK: walking

    mutating func holds(_ node: Int, _ view: JSONView, at place: Place) -> Bool {
        guard !self.schema.nodes[node].takesAll else { return true }
        let isNoted = self.isCollecting
        if isNoted { self.path.append(place) }
        defer { if isNoted { self.path.removeLast() } }
        var seen = SeenParts(isWanted: false)
        return self.holds(node, view, &seen)
    }

    /// Whether the value fits a node. What the node's keywords look at is added to `seen`; for a value that does not fit it
    /// means nothing.
    mutating func holds(_ place: Int, _ view: JSONView, _ seen: inout SeenParts) -> Bool {
        guard self.pay(1) else { return false }
        guard self.depth < Limits.Schema.checkDepth else {
            self.exhaust("leads to more than \(Limits.Schema.checkDepth) schemas inside one another; make it flatter")
            return false
        }
        self.depth += 1
        defer { self.depth -= 1 }
        let node = self.schema.nodes[place]
        let isNewScope = self.schema.isDynamic && self.scopes.last != node.resource
        if isNewScope { self.scopes.append(node.resource) }
        defer { if isNewScope { self.scopes.removeLast() } }
        guard node.asksForRest else { return self.holdsAll(node.rules, view, &seen) }
        var own = SeenParts(isWanted: true)
        guard self.holdsAll(node.rules, view, &own) else { return false }
        seen.add(own)
        return true
    }

    private mutating func holdsAll(_ rules: [SchemaRule], _ view: JSONView, _ seen: inout SeenParts) -> Bool {
        var all = true
        for rule in rules {
            guard !self.holds(rule, view, &seen, isClean: all) else { continue }
            all = false
            guard self.isCollecting && !self.isExhausted else { return false }
        }
        return all
    }

    /// - Parameter isClean: whether the rules before this one hold. What they have looked at is known only then.
    private mutating func holds(
        _ rule: SchemaRule, _ view: JSONView, _ seen: inout SeenParts, isClean: Bool
    ) -> Bool {
        switch rule {
        case .nothing: return self.refuse("false", "must not be there")
        case .type(let types): return self.checkType(types, view)
        case .constant(let literal):
            return literal.equals(view)
                || self.refuse("const", "must be \(literal.text), but is \(Quotation.kind(of: view))")
        case .enumeration(let literals): return self.checkEnumeration(literals, view)
        case .number(let rule): return self.checkNumber(rule, view)
        case .string(let rule): return self.checkString(rule, view)
        case .array(let rule): return self.checkArray(rule, view, &seen)
        case .object(let rule): return self.checkObject(rule, view, &seen)
        case .reference(let node): return self.holds(node, view, &seen)
        case .dynamicReference(let node, let anchor):
            return self.holds(self.landing(node, anchor), view, &seen)
        case .allOf, .anyOf, .oneOf, .not, .condition, .dependents: return self.checkApplied(rule, view, &seen)
        case .unevaluatedItems(let node): return !isClean || self.checkUnseenItems(node, view, &seen)
        case .unevaluatedProperties(let node): return !isClean || self.checkUnseenProperties(node, view, &seen)
        }
    }

    /// The outermost resource on the way here that has the anchor decides.
    private func landing(_ node: Int, _ anchor: Int) -> Int {
        let nodes = self.schema.anchorNodes[anchor]
        for scope in self.scopes { if let landing = nodes[scope] { return landing } }
        return node
    }
}

internal import ApusCore
internal import ApusJSON

/// The keywords that apply other schemas to the same value.
extension SchemaCheck {
    mutating func checkApplied(_ rule: SchemaRule, _ view: JSONView, _ seen: inout SeenParts) -> Bool {
        switch rule {
        case .allOf(let nodes):
            var all = true
            for node in nodes where !self.holds(node, view, &seen) {
                all = false
                guard self.isCollecting && !self.isExhausted else { return false }
            }
            return all
        case .anyOf(let nodes): return self.checkAny(nodes, view, &seen)
        case .oneOf(let nodes): return self.checkOne(nodes, view, &seen)
        case .not(let node):
            var inner = SeenParts(isWanted: false)
            guard self.quietly(node, view, &inner) else { return !self.isExhausted }
            return self.refuse("not", "must not fit the schema under `not`, but does")
        case .condition(let condition, let then, let otherwise):
            return self.checkCondition(condition, then, otherwise, view, &seen)
        case .dependents(let dependents, _):
            var all = true
            for (name, node) in dependents where view.kind == .object && self.has(name, view) {
                all = self.holds(node, view, &seen) && all
                guard all || self.isCollecting else { return false }
            }
            return all && !self.isExhausted
        default: return true
        }
    }

    private mutating func checkAny(_ nodes: [Int], _ view: JSONView, _ seen: inout SeenParts) -> Bool {
        var any = false
        for node in nodes {
            var inner = SeenParts(isWanted: seen.isWanted)
            guard self.quietly(node, view, &inner) else { continue }
            any = true
            seen.add(inner)
            // What the other alternatives look at matters only to those who ask.
            guard seen.isWanted else { break }
        }
        guard !self.isExhausted else { return false }
        return any || self.refuseAll("anyOf", nodes, view)
    }

    private mutating func checkOne(_ nodes: [Int], _ view: JSONView, _ seen: inout SeenParts) -> Bool {
        var fitting: [Int] = []
        for (index, node) in nodes.enumerated() {
            var inner = SeenParts(isWanted: seen.isWanted)
            guard self.quietly(node, view, &inner) else { continue }
            fitting.append(index + 1)
            guard fitting.count == 1 else { break }
            seen.add(inner)
        }
        guard !self.isExhausted else { return false }
        guard let first = fitting.first else { return self.refuseAll("oneOf", nodes, view) }
        guard fitting.count == 1 else {
            return self.refuse(
                "oneOf",
                "must fit exactly one of \(nodes.count) alternatives, but fits number \(first) and \(fitting[1])")
        }
        return true
    }

    /// None of the alternatives fits: says what each has against the value.
    private mutating func refuseAll(_ keyword: String, _ nodes: [Int], _ view: JSONView) -> Bool {
        guard self.isCollecting else { return false }
        var reasons: [String] = []
        for (index, node) in nodes.enumerated() {
            guard let first = self.firstViolation(node, view) else { break }
            reasons.append("(\(index + 1)) \(first)")
        }
        guard !self.isExhausted else { return false }
        return self.refuse(
            keyword, "must fit one of \(nodes.count) alternatives, but fits none: \(Quotation.list(reasons))")
    }

    private mutating func checkCondition(
        _ condition: Int, _ then: Int?, _ otherwise: Int?, _ view: JSONView, _ seen: inout SeenParts
    ) -> Bool {
        var inner = SeenParts(isWanted: seen.isWanted)
        let isTrue = self.quietly(condition, view, &inner)
        guard !self.isExhausted else { return false }
        if isTrue { seen.add(inner) }
        guard let next = isTrue ? then : otherwise else { return true }
        return self.holds(next, view, &seen)
    }
}

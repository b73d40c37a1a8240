internal import ApusCore
internal import ApusJSON

extension SchemaCheck {
    mutating func checkObject(_ rule: Shared<ObjectRule>, _ view: JSONView, _ seen: inout SeenParts) -> Bool {
        guard view.kind == .object else { return true }
        var all = true
        var count = 0
        // The first 64 required names are ticked off on the walk; a later one is looked for.
        var ticked: UInt64 = 0
        if rule.value.walks {
            for member in view.members {
                guard self.pay(1) else { return false }
                if !self.checkMember(rule, member, count, &ticked, &seen) {
                    all = false
                    guard self.isCollecting else { return false }
                }
                count += 1
            }
        }
        if !rule.value.required.isEmpty { all = self.checkRequired(rule, view, ticked) && all }
        if !rule.value.dependentRequired.isEmpty { all = self.checkNeeds(rule, view) && all }
        if rule.value.walks {
            if count < rule.value.least {
                all = self.refuse("minProperties", "must have at least \(rule.value.least) members, but has \(count)")
            }
            if count > rule.value.most {
                all = self.refuse("maxProperties", "must have at most \(rule.value.most) members, but has \(count)")
            }
        }
        return all && !self.isExhausted
    }

    private mutating func checkMember(
        _ rule: Shared<ObjectRule>, _ member: JSONView.Member, _ place: Int, _ ticked: inout UInt64,
        _ seen: inout SeenParts
    ) -> Bool {
        guard let name = member.nameUTF8 else { return true }
        var fits = true
        var isKnown = false
        if let nameSchema = rule.value.nameSchema { fits = self.checkName(nameSchema, member.key) }
        if let entry = rule.value.names.find(name) {
            if let required = rule.value.names.entries[entry].required, required < 64 {
                ticked |= 1 << UInt64(required)
            }
            if let schema = rule.value.names.entries[entry].schema {
                isKnown = true
                fits = self.holds(schema, member.value, at: .member(member.key)) && fits
            }
        }
        for (pattern, schema) in rule.value.patterns {
            guard self.matches(pattern, name) else { continue }
            isKnown = true
            fits = self.holds(schema, member.value, at: .member(member.key)) && fits
        }
        if !isKnown, let additional = rule.value.additional {
            isKnown = true
            fits = self.checkAdditional(additional, rule, member) && fits
        }
        if isKnown { seen.add(place) }
        return fits
    }

    private mutating func checkAdditional(_ schema: Int, _ rule: Shared<ObjectRule>, _ member: JSONView.Member) -> Bool
    {
        guard case .nothing = self.schema.nodes[schema].rules.first else {
            return self.holds(schema, member.value, at: .member(member.key))
        }
        guard self.isCollecting else { return false }
        let known = rule.value.names.entries.indices.filter { rule.value.names.entries[$0].schema != nil }.map {
            rule.value.names.name($0)
        }
        return self.refuse(
            "additionalProperties",
            "must not have the property \(Quotation.quoted(member.name)); "
                + (known.isEmpty ? "none are known" : "known are \(Quotation.list(known))"))
    }

    private mutating func checkName(_ schema: Int, _ name: JSONView) -> Bool {
        var inner = SeenParts(isWanted: false)
        if self.quietly(schema, name, &inner) { return true }
        let reason = self.firstViolation(schema, name)?.message ?? "does not fit `propertyNames`"
        return self.refuse(
            "propertyNames", "must not have the property \(Quotation.quoted(name.string ?? "")): its name \(reason)")
    }

    private mutating func checkRequired(_ rule: Shared<ObjectRule>, _ view: JSONView, _ ticked: UInt64) -> Bool {
        let first = min(rule.value.required.count, 64)
        let wanted: UInt64 = first == 64 ? .max : 1 << UInt64(first) - 1
        if ticked & wanted == wanted && rule.value.required.count <= 64 { return true }
        var missing: [[UInt8]] = []
        for (place, name) in rule.value.required.enumerated() {
            guard self.pay(1) else { return false }
            guard place >= 64 || ticked & 1 << UInt64(place) == 0 else { continue }
            guard place < 64 || !self.has(name, view) else { continue }
            missing.append(name)
        }
        guard !missing.isEmpty else { return true }
        return self.refuse(
            "required",
            missing.count == 1
                ? "must have the property \(Quotation.list(missing)), which is missing"
                : "must have the properties \(Quotation.list(missing)), which are missing")
    }

    private mutating func checkNeeds(_ rule: Shared<ObjectRule>, _ view: JSONView) -> Bool {
        var all = true
        for (name, needs) in rule.value.dependentRequired where self.has(name, view) {
            var missing: [[UInt8]] = []
            for need in needs where !self.has(need, view) { missing.append(need) }
            guard !missing.isEmpty else { continue }
            all = self.refuse(
                rule.value.dependentKeyword,
                "has the property \(Quotation.list([name])) and so must also have \(Quotation.list(missing))")
        }
        return all
    }

    mutating func has(_ name: [UInt8], _ view: JSONView) -> Bool {
        for member in view.members {
            guard self.pay(1) else { return false }
            if let own = member.nameUTF8, own.elementsEqual(name) { return true }
        }
        return false
    }

    mutating func checkUnseenProperties(_ node: Int, _ view: JSONView, _ seen: inout SeenParts) -> Bool {
        guard view.kind == .object else { return true }
        var all = true
        for (place, member) in view.members.enumerated() where !seen.has(place) {
            guard self.pay(1) else { return false }
            if case .nothing = self.schema.nodes[node].rules.first {
                all = self.refuse(
                    "unevaluatedProperties", "must not have the property \(Quotation.quoted(member.name))")
            } else if !self.holds(node, member.value, at: .member(member.key)) {
                all = false
            }
            guard all || self.isCollecting else { return false }
        }
        seen.addAll()
        return all
    }
}

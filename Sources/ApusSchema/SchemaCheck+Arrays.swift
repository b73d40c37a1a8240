internal import ApusCore
internal import ApusJSON

extension SchemaCheck {
    mutating func checkArray(_ rule: Shared<ArrayRule>, _ view: JSONView, _ seen: inout SeenParts) -> Bool {
        guard view.kind == .array else { return true }
        var all = true
        var count = 0
        var found = 0
        for element in view.elements {
            guard self.pay(1) else { return false }
            if rule.value.walks, !self.checkElement(rule, element, count, &found, &seen) {
                all = false
                guard self.isCollecting else { return false }
            }
            count += 1
        }
        if rule.value.rest != nil { seen.addAll() }
        if count < rule.value.least {
            all = self.refuse("minItems", "must have at least \(rule.value.least) elements, but has \(count)")
        }
        if count > rule.value.most {
            all = self.refuse("maxItems", "must have at most \(rule.value.most) elements, but has \(count)")
        }
        if rule.value.contains != nil { all = self.checkFound(rule, found) && all }
        if rule.value.isUnique { all = self.checkUnique(view, count) && all }
        return all && !self.isExhausted
    }

    private mutating func checkElement(
        _ rule: Shared<ArrayRule>, _ element: JSONView, _ index: Int, _ found: inout Int, _ seen: inout SeenParts
    ) -> Bool {
        var fits = true
        if index < rule.value.prefix.count {
            fits = self.holds(rule.value.prefix[index], element, at: .element(index))
            seen.add(index)
        } else if let rest = rule.value.rest {
            fits = self.holds(rest, element, at: .element(index))
        }
        if let contains = rule.value.contains {
            var inner = SeenParts(isWanted: false)
            if self.quietly(contains, element, &inner) {
                found += 1
                if rule.value.containsMarks { seen.add(index) }
            }
        }
        return fits
    }

    private mutating func checkFound(_ rule: Shared<ArrayRule>, _ found: Int) -> Bool {
        if found < rule.value.containsLeast {
            return self.refuse(
                rule.value.containsLeast == 1 ? "contains" : "minContains",
                "must have at least \(rule.value.containsLeast) elements that fit `contains`, but has \(found)")
        }
        guard found <= rule.value.containsMost else {
            return self.refuse(
                "maxContains",
                "must have at most \(rule.value.containsMost) elements that fit `contains`, but has \(found)")
        }
        return true
    }

    mutating func checkUnseenItems(_ node: Int, _ view: JSONView, _ seen: inout SeenParts) -> Bool {
        guard view.kind == .array else { return true }
        var all = true
        var index = 0
        for element in view.elements {
            guard self.pay(1) else { return false }
            if !seen.has(index), !self.holds(node, element, at: .element(index)) {
                all = false
                guard self.isCollecting else { return false }
            }
            index += 1
        }
        seen.addAll()
        return all
    }

    /// Whether all elements differ: only those whose hashes are equal are compared.
    private mutating func checkUnique(_ view: JSONView, _ count: Int) -> Bool {
        guard count > 1 else { return true }
        var hashed: [(hash: Int, index: Int, view: JSONView)] = []
        hashed.reserveCapacity(count)
        for (index, element) in view.elements.enumerated() {
            hashed.append((self.hash(element), index, element))
            guard !self.isExhausted else { return false }
        }
        hashed.sort { ($0.hash, $0.index) < ($1.hash, $1.index) }
        for later in 1..<hashed.count {
            var earlier = later - 1
            while earlier >= 0, hashed[earlier].hash == hashed[later].hash {
                if self.areEqual(hashed[earlier].view, hashed[later].view) {
                    return self.refuse(
                        "uniqueItems",
                        "must have no element twice, but the elements \(hashed[earlier].index) and "
                            + "\(hashed[later].index) are equal")
                }
                guard self.pay(1) else { return false }
                earlier -= 1
            }
        }
        return true
    }

    /// Equal for equal values: numbers by their worth, members in any order. Seeded anew for each process.
    private mutating func hash(_ view: JSONView) -> Int {
        guard self.pay(1) else { return 0 }
        var hasher = Hasher()
        switch view.kind {
        case .null: hasher.combine(0)
        case .boolean: hasher.combine(view.boolean)
        case .integer, .unsigned, .double:
            switch SchemaNumber(view)?.normal {
            case .integer(let value): hasher.combine(value)
            case .unsigned(let value): hasher.combine(value)
            case .double(let value): hasher.combine(value)
            case nil: break
            }
        case .string: if let text = view.utf8 { hasher.combine(bytes: text) }
        case .array: for element in view.elements { hasher.combine(self.hash(element)) }
        case .object:
            var sum = 1
            for member in view.members {
                var inner = Hasher()
                if let name = member.nameUTF8 { inner.combine(bytes: name) }
                inner.combine(self.hash(member.value))
                sum &+= inner.finalize()
            }
            hasher.combine(sum)
        }
        return hasher.finalize()
    }

    private mutating func areEqual(_ left: JSONView, _ right: JSONView) -> Bool {
        guard self.pay(1) else { return false }
        switch (left.kind, right.kind) {
        case (.null, .null): return true
        case (.boolean, .boolean): return left.boolean == right.boolean
        case (.string, .string):
            guard let left = left.utf8, let right = right.utf8 else { return false }
            return left.elementsEqual(right)
        case (.array, .array):
            var others = right.elements
            for element in left.elements {
                guard let other = others.next(), self.areEqual(element, other) else { return false }
            }
            return others.next() == nil
        case (.object, .object): return self.areEqualObjects(left, right)
        default:
            guard let left = SchemaNumber(left), let right = SchemaNumber(right) else { return false }
            return left == right
        }
    }

    private mutating func areEqualObjects(_ left: JSONView, _ right: JSONView) -> Bool {
        var count = 0
        for member in left.members {
            guard let name = member.nameUTF8 else { return false }
            var twin: JSONView?
            for other in right.members {
                guard self.pay(1) else { return false }
                if let otherName = other.nameUTF8, otherName.elementsEqual(name) {
                    twin = other.value
                    break
                }
            }
            guard let twin, self.areEqual(member.value, twin) else { return false }
            count += 1
        }
        var others = 0
        for _ in right.members { others += 1 }
        return count == others
    }
}

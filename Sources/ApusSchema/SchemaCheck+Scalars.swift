internal import ApusCore
internal import ApusJSON

extension SchemaCheck {
    mutating func checkType(_ types: TypeSet, _ view: JSONView) -> Bool {
        let type: TypeSet =
            switch view.kind {
            case .null: .null
            case .boolean: .boolean
            case .integer, .unsigned: [.integer, .number]
            case .double: SchemaNumber(view)?.isIntegral == true ? [.integer, .number] : .number
            case .string: .string
            case .array: .array
            case .object: .object
            }
        guard types.isDisjoint(with: type) else { return true }
        return self.refuse(
            "type",
            "must be \(TypeSet.names.filter { types.contains($0.type) }.map(\.name).joined(separator: " or ")), "
                + "but is \(Quotation.kind(of: view))")
    }

    mutating func checkEnumeration(_ literals: [SchemaLiteral], _ view: JSONView) -> Bool {
        guard self.pay(literals.count >> 3) else { return false }
        if literals.contains(where: { $0.equals(view) }) { return true }
        return self.refuse(
            "enum", "must be one of \(Quotation.list(literals.map(\.text))), but is \(Quotation.kind(of: view))")
    }

    mutating func checkNumber(_ rule: Shared<NumberRule>, _ view: JSONView) -> Bool {
        guard let number = SchemaNumber(view) else { return true }
        if let least = rule.value.least, number < least {
            return self.refuse("minimum", "must be at least \(least.text), but is \(number.text)")
        }
        if let most = rule.value.most, most < number {
            return self.refuse("maximum", "must be at most \(most.text), but is \(number.text)")
        }
        if let above = rule.value.above, !(above < number) {
            return self.refuse("exclusiveMinimum", "must be above \(above.text), but is \(number.text)")
        }
        if let below = rule.value.below, !(number < below) {
            return self.refuse("exclusiveMaximum", "must be below \(below.text), but is \(number.text)")
        }
        if let step = rule.value.step, !number.isMultiple(of: step) {
            return self.refuse("multipleOf", "must be a multiple of \(step.text), but is \(number.text)")
        }
        return true
    }

    mutating func checkString(_ rule: Shared<StringRule>, _ view: JSONView) -> Bool {
        guard let text = view.utf8, self.pay(text.count >> 6) else { return view.kind != .string }
        // Bytes bound the count of code points from both sides, which spares most strings the counting.
        if rule.value.least > 0 && text.count < rule.value.least * 4 || rule.value.most < text.count {
            let count = text.reduce(into: 0) { $0 += $1 & 0xC0 != 0x80 ? 1 : 0 }
            if count < rule.value.least {
                return self.refuse("minLength", "must have at least \(rule.value.least) characters, but has \(count)")
            }
            if count > rule.value.most {
                return self.refuse("maxLength", "must have at most \(rule.value.most) characters, but has \(count)")
            }
        }
        guard let pattern = rule.value.pattern, !self.matches(pattern, text), !self.isExhausted else {
            return !self.isExhausted
        }
        return self.refuse(
            "pattern", "must match the pattern \(pattern.text), but is \(Quotation.quoted(view.string ?? ""))")
    }

    /// Whether a pattern is found in the text, paid for by what it costs.
    mutating func matches(_ pattern: Pattern, _ text: UnsafeRawBufferPointer) -> Bool {
        var work = 0
        let matches = pattern.matches(text, work: &work, workMax: Limits.Schema.steps * Pattern.workPerStep)
        return self.pay(work / Pattern.workPerStep) && matches
    }
}

internal import ApusCore

/// The value of an expression. When a part fails, what it stands in is the zero of its own type at once, so that the first error
/// is the one that is told.
extension FilterProgram {
    func value(_ index: Int32, _ state: inout FilterState) -> FilterValue {
        let node = self.nodes[Int(index)]
        switch node.operation {
        case .boolean: return .boolean(node.first != 0)
        case .integer: return .integer(node.first)
        case .text: return .text(FilterText(source: .program, range: Int(node.second)..<Int(node.third)))
        case .value:
            if let value = self.found(node.first, &state) { return value }
            state.fail(.missingAttribute)
            return .boolean(false)
        case .exists: return .boolean(self.found(node.first, &state) != nil)
        case .not: return .boolean(self.not(node, &state))
        case .negated: return .integer(self.negated(node, &state))
        case .binary: return self.binary(node, &state)
        case .like: return .boolean(self.like(node, &state))
        case .isIn: return .boolean(self.isIn(node, &state))
        case .call:
            guard let function = FilterFunction(rawValue: node.detail) else { break }
            return self.call(function, Int(node.first)..<Int(node.second), &state)
        default: break
        }
        state.fail(.missingFunction)
        return .boolean(false)
    }

    // MARK: one operand

    private func not(_ node: FilterNode, _ state: inout FilterState) -> Bool {
        let operand = self.value(node.first, &state)
        if state.hasFailed { return false }
        // A number is no Boolean here, and what cannot be cast counts as false: the conformance suite wants both.
        if case .integer = operand {
            state.fail(.cast)
            return true
        }
        return !self.boolean(operand, &state)
    }

    private func negated(_ node: FilterNode, _ state: inout FilterState) -> Int32 {
        let operand = self.integer(node.first, &state)
        guard !state.hasFailed else { return 0 }
        let (result, overflows) = (0 as Int32).subtractingReportingOverflow(operand)
        if overflows { state.fail(.math) }
        return overflows ? 0 : result
    }

    // MARK: two operands

    private func binary(_ node: FilterNode, _ state: inout FilterState) -> FilterValue {
        guard let operation = FilterOperator(rawValue: node.detail) else { return .boolean(false) }
        switch operation {
        case .and, .or, .xor: return .boolean(self.logic(operation, node, &state))
        case .equal, .notEqual:
            let left = self.value(node.first, &state)
            guard !state.hasFailed else { return .boolean(false) }
            let right = self.value(node.second, &state)
            guard !state.hasFailed else { return .boolean(false) }
            let isEqual = self.equals(left, as: right, &state)
            return .boolean(!state.hasFailed && isEqual == (operation == .equal))
        case .less, .lessOrEqual, .greater, .greaterOrEqual:
            guard let (left, right) = self.integers(node, &state) else { return .boolean(false) }
            switch operation {
            case .less: return .boolean(left < right)
            case .lessOrEqual: return .boolean(left <= right)
            case .greater: return .boolean(left > right)
            default: return .boolean(left >= right)
            }
        case .add, .subtract, .multiply, .divide, .remainder:
            guard let (left, right) = self.integers(node, &state) else { return .integer(0) }
            let (result, overflows) = Self.arithmetic(operation, left, right)
            if overflows { state.fail(.math) }
            return .integer(overflows ? 0 : result)
        }
    }

    /// The right operand of AND and OR is looked at only where the left one does not decide.
    private func logic(_ operation: FilterOperator, _ node: FilterNode, _ state: inout FilterState) -> Bool {
        let left = self.boolean(node.first, &state)
        guard !state.hasFailed else { return false }
        if operation == .and, !left { return false }
        if operation == .or, left { return true }
        let right = self.boolean(node.second, &state)
        guard !state.hasFailed else { return false }
        return operation == .xor ? left != right : right
    }

    private static func arithmetic(_ operation: FilterOperator, _ left: Int32, _ right: Int32) -> (Int32, Bool) {
        switch operation {
        case .add: return left.addingReportingOverflow(right)
        case .subtract: return left.subtractingReportingOverflow(right)
        case .multiply: return left.multipliedReportingOverflow(by: right)
        case .divide: return left.dividedReportingOverflow(by: right)
        default:
            // The remainder of the least number by -1 is 0, though their quotient is beyond 32 bits.
            return right == -1 ? (0, false) : left.remainderReportingOverflow(dividingBy: right)
        }
    }

    /// The type of `right` is the one in which both are compared.
    private func equals(_ left: FilterValue, as right: FilterValue, _ state: inout FilterState) -> Bool {
        switch right {
        case .boolean(let right): return self.boolean(left, &state) == right
        case .integer(let right): return self.integer(left, &state) == right
        case .text(let right):
            let left = self.text(of: left, &state)
            guard left.range.count == right.range.count, state.charge(right.range.count) else { return false }
            return self.withBytes(left, state) { left in
                self.withBytes(right, state) { right in left.elementsEqual(right) }
            }
        }
    }

    // MARK: LIKE and IN

    private func like(_ node: FilterNode, _ state: inout FilterState) -> Bool {
        let operand = self.value(node.first, &state)
        guard !state.hasFailed else { return false }
        let text = self.text(of: operand, &state)
        guard state.charge(text.range.count), !state.hasFailed else { return false }
        let isMatch = self.withBytes(text, state) { self.patterns[Int(node.second)].matches($0) }
        return isMatch != (node.detail != 0)
    }

    /// Each element is cast to the type of the value.
    private func isIn(_ node: FilterNode, _ state: inout FilterState) -> Bool {
        let operand = self.value(self.children[Int(node.first)], &state)
        guard !state.hasFailed else { return false }
        for child in self.children[Int(node.first) + 1..<Int(node.second)] {
            let element = self.value(child, &state)
            guard !state.hasFailed else { return false }
            let isEqual = self.equals(element, as: operand, &state)
            guard !state.hasFailed else { return false }
            if isEqual { return node.detail == 0 }
        }
        return node.detail != 0
    }

    // MARK: operands of a type

    private func boolean(_ index: Int32, _ state: inout FilterState) -> Bool {
        let value = self.value(index, &state)
        return state.hasFailed ? false : self.boolean(value, &state)
    }

    func integer(_ index: Int32, _ state: inout FilterState) -> Int32 {
        let value = self.value(index, &state)
        return state.hasFailed ? 0 : self.integer(value, &state)
    }

    private func integers(_ node: FilterNode, _ state: inout FilterState) -> (Int32, Int32)? {
        let left = self.integer(node.first, &state)
        guard !state.hasFailed else { return nil }
        let right = self.integer(node.second, &state)
        return state.hasFailed ? nil : (left, right)
    }
}

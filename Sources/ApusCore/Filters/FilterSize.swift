/// How much a filter says: what is bounded before it is compiled.
public struct FilterSize: Sendable {
    public private(set) var nodes = 0
    public private(set) var depth = 0
    public private(set) var references: Set<FilterReference> = []
    /// Whether a pattern after LIKE is too long for its kind.
    public private(set) var hasLongPattern = false

    public init(_ filter: EventFilter) { self.add(filter, 1) }

    public var isWithinBounds: Bool {
        self.nodes <= Limits.Filter.nodes && self.depth <= Limits.Filter.depth
            && self.references.count <= Limits.Filter.references && !self.hasLongPattern
    }

    private mutating func enter(_ level: Int) -> Bool {
        self.nodes += 1
        self.depth = max(self.depth, level)
        // What is beyond its bounds need not be known in full.
        return self.nodes <= Limits.Filter.nodes && self.depth <= Limits.Filter.depth
    }

    private mutating func add(_ filter: EventFilter, _ level: Int) {
        guard self.enter(level) else { return }
        switch filter {
        case .exact(let conditions), .prefix(let conditions), .suffix(let conditions):
            for condition in conditions {
                _ = self.enter(level + 1)
                self.references.insert(condition.reference)
            }
        case .all(let parts), .any(let parts): for part in parts { self.add(part, level + 1) }
        case .not(let part): self.add(part, level + 1)
        case .sql(_, let expression): self.add(expression, level + 1)
        }
    }

    private mutating func add(_ expression: FilterExpression, _ level: Int) {
        guard self.enter(level) else { return }
        switch expression {
        case .boolean, .integer, .text: break
        case .value(let reference), .exists(let reference): self.references.insert(reference)
        case .not(let operand), .negated(let operand): self.add(operand, level + 1)
        case .like(let operand, let pattern, _):
            if pattern.unicodeScalars.count > Limits.Filter.patternCharacters { self.hasLongPattern = true }
            self.add(operand, level + 1)
        case .binary(_, let left, let right):
            self.add(left, level + 1)
            self.add(right, level + 1)
        case .isIn(let value, let elements, _): for part in [value] + elements { self.add(part, level + 1) }
        case .call(_, let arguments): for argument in arguments { self.add(argument, level + 1) }
        }
    }
}

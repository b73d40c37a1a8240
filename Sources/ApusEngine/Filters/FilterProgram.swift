internal import ApusCore

/// One part of a compiled filter. What its numbers mean depends on the operation.
struct FilterNode: Sendable, Equatable {
    enum Operation: UInt8, Sendable {
        // Filters, which are true or false.
        /// `first`: reference; `second`, `third`: where its text lies.
        case exact, prefix, suffix
        /// `first`, `second`: where its parts lie in the list of children.
        case all, any
        /// `first`: the filter.
        case notFilter
        /// `first`: the expression.
        case expression

        // Expressions, which have a value.
        /// `first`: the value.
        case boolean, integer
        /// `second`, `third`: where its text lies.
        case text
        /// `first`: reference.
        case value, exists
        /// `first`: the operand.
        case not, negated
        /// `first`, `second`: the operands; `detail`: the operator.
        case binary
        /// `first`: the operand; `second`: the pattern; `detail`: whether the answer is turned round.
        case like
        /// `first`, `second`: where value and elements lie in the list of children; `detail` as with `like`.
        case isIn
        /// `first`, `second`: where its arguments lie; `detail`: the function.
        case call
        case missingFunction
    }

    var operation: Operation
    var detail: UInt8 = 0
    var first: Int32 = 0
    var second: Int32 = 0
    var third: Int32 = 0
}

/// A filter as a flat list of parts, each of which is visited at most once for an event: what lies below a part comes before it.
struct FilterProgram: Sendable, Equatable {
    /// How a reference is looked for.
    struct Lookup: Sendable, Equatable {
        enum Place: Sendable, Equatable {
            case attribute
            /// The attribute, else the record's key.
            case key
            case header
            /// The number of its path.
            case data(Int)
        }

        var place: Place
        /// Where the name lies.
        var name: Range<Int> = 0..<0
    }

    private(set) var nodes: [FilterNode] = []
    private(set) var children: [Int32] = []
    /// All names and texts, one after the other.
    private(set) var text: [UInt8] = []
    private(set) var lookups: [Lookup] = []
    private(set) var paths: [[DataStep]] = []
    private(set) var patterns: [LikePattern] = []
    private var known: [FilterReference: Int32] = [:]

    var root: Int32 { Int32(self.nodes.count - 1) }

    /// The filter is within the bounds of ``Limits/Filter``.
    init(_ filter: EventFilter) { _ = self.compile(filter) }

    private mutating func add(_ node: FilterNode) -> Int32 {
        self.nodes.append(node)
        return Int32(self.nodes.count - 1)
    }

    private mutating func store(_ text: String) -> Range<Int> {
        let start = self.text.count
        self.text.append(contentsOf: text.utf8)
        return start..<self.text.count
    }

    private mutating func addText(_ operation: FilterNode.Operation, _ text: String, first: Int32 = 0) -> Int32 {
        let range = self.store(text)
        return self.add(
            FilterNode(
                operation: operation, first: first, second: Int32(range.lowerBound), third: Int32(range.upperBound)))
    }

    private mutating func addList(
        _ operation: FilterNode.Operation, detail: UInt8 = 0, _ children: [Int32]
    ) -> Int32 {
        let start = Int32(self.children.count)
        self.children += children
        return self.add(
            FilterNode(operation: operation, detail: detail, first: start, second: Int32(self.children.count)))
    }

    private mutating func lookup(_ reference: FilterReference) -> Int32 {
        if let known = self.known[reference] { return known }
        let lookup: Lookup
        switch reference {
        case .attribute(let name): lookup = Lookup(place: name == "key" ? .key : .attribute, name: self.store(name))
        case .header(let name): lookup = Lookup(place: .header, name: self.store(name))
        case .data(let path):
            lookup = Lookup(place: .data(self.paths.count))
            self.paths.append(path)
        }
        self.lookups.append(lookup)
        let index = Int32(self.lookups.count - 1)
        self.known[reference] = index
        return index
    }

    // MARK: filters

    private mutating func compile(_ filter: EventFilter) -> Int32 {
        switch filter {
        case .exact(let conditions): return self.compile(.exact, conditions)
        case .prefix(let conditions): return self.compile(.prefix, conditions)
        case .suffix(let conditions): return self.compile(.suffix, conditions)
        case .all(let parts): return self.addList(.all, parts.map { self.compile($0) })
        case .any(let parts): return self.addList(.any, parts.map { self.compile($0) })
        case .not(let part): return self.add(FilterNode(operation: .notFilter, first: self.compile(part)))
        case .sql(_, let expression):
            return self.add(FilterNode(operation: .expression, first: self.compile(expression)))
        }
    }

    private mutating func compile(_ operation: FilterNode.Operation, _ conditions: [FilterCondition]) -> Int32 {
        self.addList(.all, conditions.map { self.addText(operation, $0.text, first: self.lookup($0.reference)) })
    }

    // MARK: expressions

    private mutating func compile(_ expression: FilterExpression) -> Int32 {
        switch expression {
        case .boolean(let value): return self.add(FilterNode(operation: .boolean, first: value ? 1 : 0))
        case .integer(let value): return self.add(FilterNode(operation: .integer, first: value))
        case .text(let text): return self.addText(.text, text)
        // It is not stored with events: it is this always.
        case .value(.attribute("specversion")): return self.addText(.text, "1.0")
        case .value(let reference): return self.add(FilterNode(operation: .value, first: self.lookup(reference)))
        case .exists(.attribute(let name)) where Self.required.contains(name):
            return self.add(FilterNode(operation: .boolean, first: 1))
        case .exists(let reference): return self.add(FilterNode(operation: .exists, first: self.lookup(reference)))
        case .not(let operand): return self.add(FilterNode(operation: .not, first: self.compile(operand)))
        case .negated(let operand): return self.add(FilterNode(operation: .negated, first: self.compile(operand)))
        case .binary(let kind, let left, let right):
            let (left, right) = (self.compile(left), self.compile(right))
            return self.add(FilterNode(operation: .binary, detail: kind.rawValue, first: left, second: right))
        case .like(let operand, let pattern, let isNegated):
            let value = self.compile(operand)
            self.patterns.append(LikePattern(pattern))
            return self.add(
                FilterNode(
                    operation: .like, detail: isNegated ? 1 : 0, first: value, second: Int32(self.patterns.count - 1)))
        case .isIn(let value, let elements, let isNegated):
            return self.addList(.isIn, detail: isNegated ? 1 : 0, ([value] + elements).map { self.compile($0) })
        case .call(let name, let arguments):
            guard let function = FilterFunction(name: name, arguments: arguments.count) else {
                return self.add(FilterNode(operation: .missingFunction))
            }
            return self.addList(.call, detail: function.rawValue, arguments.map { self.compile($0) })
        }
    }

    /// Every event has them.
    private static let required: Set<String> = ["specversion", "id", "source", "type"]
}

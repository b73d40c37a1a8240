internal import ApusCore

/// Reads CESQL 1.0, and what Apus adds to it: `headers["x"]`, `data.path`.
///
/// Operators bind in this order: `NOT` and `-`; `LIKE` and `IN`; `*` `/` `%`; `+` `-`; comparisons; `AND`; `OR`; `XOR`. Equal ones bind from the left.
struct ExpressionParser {
    /// A part of an expression, and how deep it goes.
    private struct Part {
        var expression: FilterExpression
        var depth = 1
    }

    private static let operators: [[String: FilterOperator]] = [
        ["XOR": .xor], ["OR": .or], ["AND": .and],
        [
            "=": .equal, "!=": .notEqual, "<>": .notEqual, "<": .less, "<=": .lessOrEqual, ">": .greater,
            ">=": .greaterOrEqual,
        ],
        ["+": .add, "-": .subtract], ["*": .multiply, "/": .divide, "%": .remainder],
    ]
    private static let keywords: Set<String> = ["AND", "OR", "XOR", "NOT", "LIKE", "IN", "EXISTS", "TRUE", "FALSE"]

    private var lexer: ExpressionLexer
    private var nodes = 0
    private var nesting = 0
    /// The first call of a function that does not exist.
    private var missing: ExpressionError?

    private init(_ text: String) throws(ExpressionError) { self.lexer = try ExpressionLexer(text) }

    /// What an expression says. A call of a function that does not exist is CESQL all the same, and fails when it is evaluated.
    struct Parsed {
        var expression: FilterExpression
        /// The first such call.
        var missing: ExpressionError?
    }

    /// - Throws: the first place that is no CESQL.
    static func parse(_ text: String) throws(ExpressionError) -> Parsed {
        guard text.utf8.count <= Limits.Filter.expressionBytes else {
            throw ExpressionError(
                at: 0,
                message: "it has \(text.utf8.count) bytes, expected at most \(Limits.Filter.expressionBytes)")
        }
        var parser = try ExpressionParser(text)
        let whole = try parser.binary(0)
        guard parser.lexer.token == .end else { throw parser.unexpected("an operator or the end") }
        return Parsed(expression: whole.expression, missing: parser.missing)
    }

    /// What stands for one value of an event, alone: the name of a condition.
    static func reference(_ text: String) throws(ExpressionError) -> FilterReference {
        var parser = try ExpressionParser(text)
        guard case .word(let word) = parser.lexer.token else { throw parser.unexpected("an attribute") }
        let start = parser.lexer.start
        try parser.lexer.advance()
        let reference = try parser.reference(word, start)
        guard parser.lexer.token == .end else { throw parser.unexpected("the end") }
        return reference
    }

    private func fail(_ message: String, at start: Int? = nil) -> ExpressionError {
        ExpressionError(at: start ?? self.lexer.start, message: message)
    }

    private func unexpected(_ expected: String) -> ExpressionError {
        self.fail("\(self.lexer.token.found) stands where \(expected) is expected")
    }

    private func isSymbol(_ symbol: String) -> Bool { self.lexer.token == .symbol(symbol) }

    private func isKeyword(_ keyword: String) -> Bool {
        if case .word(let word) = self.lexer.token { word.uppercased() == keyword } else { false }
    }

    private mutating func take(_ symbol: String) throws(ExpressionError) -> Bool {
        guard self.isSymbol(symbol) else { return false }
        try self.lexer.advance()
        return true
    }

    private mutating func expect(_ symbol: String) throws(ExpressionError) {
        guard try self.take(symbol) else { throw self.unexpected("`\(symbol)`") }
    }

    private mutating func part(
        _ expression: FilterExpression, over depths: Int...
    ) throws(ExpressionError) -> Part {
        self.nodes += 1
        guard self.nodes <= Limits.Filter.nodes else {
            throw self.fail("the expression has more than \(Limits.Filter.nodes) parts")
        }
        let part = Part(expression: expression, depth: 1 + (depths.max() ?? 0))
        guard part.depth <= Limits.Filter.depth else { throw self.tooDeep() }
        return part
    }

    private func tooDeep() -> ExpressionError {
        self.fail(
            "more than \(Limits.Filter.depth) operators lie inside one another: a list after IN says the same as many OR"
        )
    }

    // MARK: operators

    private func binaryOperator(_ level: Int) -> FilterOperator? {
        switch self.lexer.token {
        case .word(let word): Self.operators[level][word.uppercased()]
        case .symbol(let symbol): Self.operators[level][symbol]
        default: nil
        }
    }

    private mutating func binary(_ level: Int) throws(ExpressionError) -> Part {
        guard level < Self.operators.count else { return try self.matched() }
        var left = try self.binary(level + 1)
        while let found = self.binaryOperator(level) {
            try self.lexer.advance()
            let right = try self.binary(level + 1)
            left = try self.part(.binary(found, left.expression, right.expression), over: left.depth, right.depth)
        }
        return left
    }

    /// Something that LIKE or IN may follow.
    private mutating func matched() throws(ExpressionError) -> Part {
        var value = try self.unary()
        while true {
            let isNegated = self.isKeyword("NOT")
            if isNegated {
                try self.lexer.advance()
                guard self.isKeyword("LIKE") || self.isKeyword("IN") else { throw self.unexpected("LIKE or IN") }
            }
            if self.isKeyword("LIKE") {
                try self.lexer.advance()
                guard case .text(let pattern) = self.lexer.token else { throw self.unexpected("a pattern in quotes") }
                try self.lexer.advance()
                value = try self.part(
                    .like(value.expression, pattern: pattern, isNegated: isNegated), over: value.depth)
            } else if self.isKeyword("IN") {
                try self.lexer.advance()
                let elements = try self.list()
                guard !elements.isEmpty else { throw self.fail("the list after IN is empty") }
                value = try self.part(
                    .isIn(value.expression, elements.map(\.expression), isNegated: isNegated),
                    over: value.depth, elements.map(\.depth).max() ?? 0)
            } else {
                return value
            }
        }
    }

    private mutating func unary() throws(ExpressionError) -> Part {
        self.nesting += 1
        defer { self.nesting -= 1 }
        guard self.nesting <= Limits.Filter.depth else { throw self.tooDeep() }
        if self.isKeyword("NOT") {
            try self.lexer.advance()
            let operand = try self.unary()
            return try self.part(.not(operand.expression), over: operand.depth)
        }
        if self.isKeyword("EXISTS") {
            try self.lexer.advance()
            guard case .word(let word) = self.lexer.token, !Self.keywords.contains(word.uppercased()) else {
                throw self.unexpected("the name of an attribute")
            }
            let start = self.lexer.start
            try self.lexer.advance()
            return try self.part(.exists(try self.reference(word, start)))
        }
        let isMinus = self.isSymbol("-")
        if isMinus || self.isSymbol("+") {
            try self.lexer.advance()
            // The sign is part of a number: the least number has no positive twin.
            if case .word(let word) = self.lexer.token, Self.isNumber(word) {
                return try self.number(isMinus ? "-" + word : word)
            }
            guard isMinus else { throw self.unexpected("a number") }
            let operand = try self.unary()
            return try self.part(.negated(operand.expression), over: operand.depth)
        }
        return try self.primary()
    }

    // MARK: values

    private mutating func primary() throws(ExpressionError) -> Part {
        let start = self.lexer.start
        switch self.lexer.token {
        case .text(let text):
            try self.lexer.advance()
            return try self.part(.text(text))
        case .symbol("("):
            try self.lexer.advance()
            let inner = try self.binary(0)
            try self.expect(")")
            return inner
        case .word(let word):
            if Self.isNumber(word) { return try self.number(word) }
            let upper = word.uppercased()
            if upper == "TRUE" || upper == "FALSE" {
                try self.lexer.advance()
                return try self.part(.boolean(upper == "TRUE"))
            }
            guard !Self.keywords.contains(upper) else { throw self.unexpected("a value") }
            try self.lexer.advance()
            if self.isSymbol("(") { return try self.call(upper, start) }
            return try self.part(.value(try self.reference(word, start)))
        default: throw self.unexpected("a value")
        }
    }

    private static func isNumber(_ word: String) -> Bool {
        word.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    }

    private mutating func number(_ text: String) throws(ExpressionError) -> Part {
        guard let number = Int32(text) else {
            throw self.fail("\(YAMLNode.shorten(text)) is beyond 32 bits, expected -2147483648 to 2147483647")
        }
        try self.lexer.advance()
        return try self.part(.integer(number))
    }

    private mutating func call(_ name: String, _ start: Int) throws(ExpressionError) -> Part {
        guard !name.utf8.contains(where: { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
            throw self.fail("`\(YAMLNode.shorten(name))` is no name of a function", at: start)
        }
        let arguments = try self.list()
        if FilterFunction(name: name, arguments: arguments.count) == nil, self.missing == nil {
            self.missing = self.fail(Self.missing(name, arguments.count), at: start)
        }
        return try self.part(
            .call(name, arguments.map(\.expression)), over: arguments.map(\.depth).max() ?? 0)
    }

    private static func missing(_ name: String, _ arguments: Int) -> String {
        if let known = FilterFunction.allCases.first(where: { $0.name == name }) {
            let (least, most) = (known.arity.lowerBound, known.arity.upperBound)
            let expected = least == most ? "\(least)" : most > 9 ? "\(least) or more" : "\(least) to \(most)"
            return "\(name) is called with \(arguments) values, expected \(expected)"
        }
        let names = FilterFunction.allCases.map(\.name)
        return "there is no function `\(YAMLNode.shorten(name))`\(Suggestion.hint(for: name, among: names))"
    }

    /// Values in parentheses, with commas between.
    private mutating func list() throws(ExpressionError) -> [Part] {
        try self.expect("(")
        var parts: [Part] = []
        guard try !self.take(")") else { return parts }
        repeat { parts.append(try self.binary(0)) } while try self.take(",")
        try self.expect(")")
        return parts
    }

    // MARK: references

    /// - Parameter word: the word just before the lexer's token.
    private mutating func reference(_ word: String, _ start: Int) throws(ExpressionError) -> FilterReference {
        let name = word.lowercased()
        if name == "data" { return .data(try self.path(start)) }
        if name == "headers", self.isSymbol("[") {
            try self.lexer.advance()
            guard case .text(let header) = self.lexer.token, Self.isQuotable(header) else {
                throw self.unexpected("the name of a header in quotes, without backslashes,")
            }
            try self.lexer.advance()
            try self.expect("]")
            return .header(header)
        }
        guard !word.utf8.contains(UInt8(ascii: "_")), (1...64).contains(name.utf8.count) else {
            throw self.fail(
                "`\(YAMLNode.shorten(word))` is no attribute, expected \(TextRule.attribute.expected)", at: start)
        }
        return .attribute(name)
    }

    /// A name that comes out of quotes as it went in.
    private static func isQuotable(_ name: String) -> Bool { !name.isEmpty && !name.utf8.contains(UInt8(ascii: "\\")) }

    private mutating func path(_ start: Int) throws(ExpressionError) -> [DataStep] {
        var steps: [DataStep] = []
        while self.isSymbol(".") || self.isSymbol("[") {
            guard steps.count < Limits.Filter.pathSteps else {
                throw self.fail("the path has more than \(Limits.Filter.pathSteps) steps")
            }
            let isMember = self.isSymbol(".")
            try self.lexer.advance()
            if isMember {
                guard case .word(let name) = self.lexer.token else { throw self.unexpected("the name of a member") }
                steps.append(.member(name))
            } else if case .text(let name) = self.lexer.token, Self.isQuotable(name) {
                steps.append(.member(name))
            } else if case .word(let word) = self.lexer.token, let index = Int32(word) {
                steps.append(.element(Int(index)))
            } else {
                throw self.unexpected("a number, or a name in quotes and without backslashes,")
            }
            try self.lexer.advance()
            if !isMember { try self.expect("]") }
        }
        guard !steps.isEmpty else {
            throw self.fail("`data` needs a path to a value within it, such as data.order.total", at: start)
        }
        return steps
    }
}

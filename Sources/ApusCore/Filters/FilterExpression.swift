/// An expression of CESQL 1.0 (CloudEvents SQL), with values beyond attributes as Apus adds them.
public indirect enum FilterExpression: Sendable, Equatable {
    case boolean(Bool)
    case integer(Int32)
    case text(String)
    case value(FilterReference)
    case exists(FilterReference)
    case not(FilterExpression)
    case negated(FilterExpression)
    case binary(FilterOperator, FilterExpression, FilterExpression)
    case like(FilterExpression, pattern: String, isNegated: Bool)
    case isIn(FilterExpression, [FilterExpression], isNegated: Bool)
    /// By its name in upper case; one that does not exist fails when it is evaluated.
    case call(String, [FilterExpression])
}

public enum FilterOperator: UInt8, Sendable {
    case and, or, xor
    case equal, notEqual
    case less, lessOrEqual, greater, greaterOrEqual
    case add, subtract, multiply, divide, remainder
}

/// The functions that CESQL defines.
public enum FilterFunction: UInt8, Sendable, CaseIterable {
    case int, bool, string
    case abs
    case length, concat, concatWithSeparator, lower, upper, trim, left, right, substring

    public var name: String {
        switch self {
        case .int: "INT"
        case .bool: "BOOL"
        case .string: "STRING"
        case .abs: "ABS"
        case .length: "LENGTH"
        case .concat: "CONCAT"
        case .concatWithSeparator: "CONCAT_WS"
        case .lower: "LOWER"
        case .upper: "UPPER"
        case .trim: "TRIM"
        case .left: "LEFT"
        case .right: "RIGHT"
        case .substring: "SUBSTRING"
        }
    }

    /// How many arguments it takes.
    public var arity: ClosedRange<Int> {
        switch self {
        case .int, .bool, .string, .abs, .length, .lower, .upper, .trim: 1...1
        case .concat: 0...Limits.Filter.nodes
        case .concatWithSeparator: 1...Limits.Filter.nodes
        case .left, .right: 2...2
        case .substring: 2...3
        }
    }

    /// - Returns: nil when no function of this name takes so many arguments.
    public init?(name: String, arguments: Int) {
        guard let found = Self.allCases.first(where: { $0.name == name }), found.arity.contains(arguments) else {
            return nil
        }
        self = found
    }
}

/// What went wrong in an expression, by the names that the conformance suite of CESQL gives it.
public enum FilterError: String, Sendable, Error, CaseIterable {
    case parse
    case math
    case cast
    case missingAttribute
    case missingFunction
    case functionEvaluation
    /// A bound of ``Limits/Filter`` was reached.
    case generic
}

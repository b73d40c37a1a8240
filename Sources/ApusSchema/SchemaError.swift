/// Why a text is no schema that can be used here.
public struct SchemaError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Where in the schema, as a JSON pointer; empty for the whole.
    public let pointer: String
    /// What is wrong there and what to write instead.
    public let message: String

    public init(_ pointer: String, _ message: String) {
        self.pointer = pointer
        self.message = message
    }

    public var description: String { self.pointer.isEmpty ? self.message : "\(self.pointer): \(self.message)" }
}

/// What of a value does not fit its schema, said so that who wrote the value can put it right.
public struct SchemaViolation: Sendable, Equatable, CustomStringConvertible {
    /// Where in the value, as a JSON pointer; empty for the whole.
    public let pointer: String
    /// The keyword of the schema that refuses it; empty where no keyword does (a bound was reached).
    public let keyword: String
    /// What is wrong and what would be right.
    public let message: String

    public init(_ pointer: String, _ keyword: String, _ message: String) {
        self.pointer = pointer
        self.keyword = keyword
        self.message = message
    }

    public var description: String { "\(self.pointer.isEmpty ? "the value" : self.pointer) \(self.message)" }
}

/// A JSON value of any shape, for data that has no type of its own. Objects keep the order of their members.
///
/// Functions usually take and return `Codable` types; this one can be a member of them, or be all of it.
public enum JSON: Sendable, Equatable {
    case null
    case boolean(Bool)
    case integer(Int64)
    /// An integer above `Int64.max`.
    case unsigned(UInt64)
    case number(Double)
    case string(String)
    case array([JSON])
    case object([Member])

    public struct Member: Sendable, Equatable {
        public var name: String
        public var value: JSON
        public init(_ name: String, _ value: JSON) {
            self.name = name
            self.value = value
        }
    }

    /// Reads a whole text: one value, with nothing but white space around it.
    /// - Throws: ``JSONSyntaxError``.
    public init(parsing bytes: some Sequence<UInt8>) throws {
        var parser = JSONParser(Array(bytes))
        self = try parser.parse()
    }

    public init(parsing text: String) throws { try self.init(parsing: text.utf8) }

    /// The member of that name; nil for none, and for what is no object.
    public subscript(name: String) -> JSON? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.name == name }?.value
    }

    /// The element at that place; nil for none, and for what is no array.
    public subscript(index: Int) -> JSON? {
        guard case .array(let elements) = self, elements.indices.contains(index) else { return nil }
        return elements[index]
    }

    public var string: String? { if case .string(let text) = self { text } else { nil } }
    public var boolean: Bool? { if case .boolean(let value) = self { value } else { nil } }
    public var array: [JSON]? { if case .array(let elements) = self { elements } else { nil } }
    public var object: [Member]? { if case .object(let members) = self { members } else { nil } }
    /// A number without a fraction, however it is written.
    public var integer: Int? { self.exactly() }
    public var double: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .unsigned(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }

    func exactly<Integer: FixedWidthInteger>() -> Integer? {
        switch self {
        case .integer(let value): Integer(exactly: value)
        case .unsigned(let value): Integer(exactly: value)
        case .number(let value): Integer(exactly: value)
        default: nil
        }
    }

    /// The value as JSON text, on one line.
    public var encoded: [UInt8] {
        var bytes: [UInt8] = []
        self.append(to: &bytes)
        return bytes
    }

    var kind: String {
        switch self {
        case .null: "null"
        case .boolean: "a Boolean"
        case .integer, .unsigned, .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

extension JSON: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(nilLiteral: ()) { self = .null }
    public init(booleanLiteral value: Bool) { self = .boolean(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(floatLiteral value: Double) { self = .number(value) }
    public init(stringLiteral value: String) { self = .string(value) }
    public init(arrayLiteral elements: JSON...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSON)...) { self = .object(elements.map { Member($0, $1) }) }
}

extension JSON: Codable {
    public init(from decoder: any Decoder) throws {
        guard let own = decoder as? JSONDecoding else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "a JSON value is read from JSON only"))
        }
        self = own.value
    }

    public func encode(to encoder: any Encoder) throws {
        guard let own = encoder as? JSONEncoding else {
            throw EncodingError.invalidValue(
                self, .init(codingPath: encoder.codingPath, debugDescription: "a JSON value is written as JSON only"))
        }
        own.slot.value = self
    }
}

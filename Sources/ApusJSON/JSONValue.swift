public import ApusCore

/// A JSON value that is kept: a tree. To read a few fields of a text, ``JSONView`` is cheaper.
public enum JSONValue: Sendable, Equatable {
    case null
    case boolean(Bool)
    case integer(Int64)
    /// Only for integers above `Int64.max`.
    case unsigned(UInt64)
    /// A number that was written with a fraction or an exponent.
    case double(Double)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    /// Reads one JSON text.
    /// - Parameter refusesDuplicates: refuses objects with two members of one name, which two readers may understand
    ///   differently; otherwise the last one counts.
    /// - Throws: `invalid_json`, with line and column.
    public static func parse(_ text: UnsafeRawBufferPointer, refusesDuplicates: Bool = true) throws(ApusError)
        -> JSONValue
    {
        try JSONParser().parse(text) { (view) throws(ApusError) in
            var builder = TreeBuilder(refusesDuplicates: refusesDuplicates)
            return try builder.value(view, depth: 0)
        }
    }

    /// Reads one JSON text.
    /// - Throws: `invalid_json`, with line and column.
    public static func parse(_ text: [UInt8], refusesDuplicates: Bool = true) throws(ApusError) -> JSONValue {
        try JSONParser().parse(text) { (view) throws(ApusError) in
            var builder = TreeBuilder(refusesDuplicates: refusesDuplicates)
            return try builder.value(view, depth: 0)
        }
    }

    /// Reads one JSON text.
    /// - Throws: `invalid_json`, with line and column.
    public static func parse(_ text: String, refusesDuplicates: Bool = true) throws(ApusError) -> JSONValue {
        try JSONValue.parse(Array(text.utf8), refusesDuplicates: refusesDuplicates)
    }

    /// An owned copy of a view.
    /// - Throws: `invalid_json` past the depth bound, or for duplicate names where they are refused.
    public init(_ view: JSONView, refusesDuplicates: Bool = true) throws(ApusError) {
        var builder = TreeBuilder(refusesDuplicates: refusesDuplicates)
        self = try builder.value(view, depth: 0)
    }

    /// The shortest text of this value, in UTF-8.
    public func encoded() -> [UInt8] {
        var writer = JSONWriter()
        writer.value(self)
        return writer.bytes
    }

    // MARK: reading

    public var isNull: Bool { self == .null }
    public var boolean: Bool? { if case .boolean(let value) = self { value } else { nil } }
    public var string: String? { if case .string(let value) = self { value } else { nil } }
    public var array: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
    public var object: JSONObject? { if case .object(let value) = self { value } else { nil } }
    public var integer: Int64? { if case .integer(let value) = self { value } else { nil } }
    public var int: Int? { self.integer.flatMap { Int(exactly: $0) } }
    public var unsigned: UInt64? {
        switch self {
        case .integer(let value): UInt64(exactly: value)
        case .unsigned(let value): value
        default: nil
        }
    }
    /// Any number; large integers are rounded.
    public var double: Double? {
        switch self {
        case .double(let value): value
        case .integer(let value): Double(value)
        case .unsigned(let value): Double(value)
        default: nil
        }
    }

    /// A member of an object; nil when there is none or this is no object. Setting on another kind makes it an object.
    public subscript(name: String) -> JSONValue? {
        get { self.object?[name] }
        set {
            var object = self.object ?? JSONObject()
            object[name] = newValue
            self = .object(object)
        }
    }

    /// An element of an array; nil past its ends or when this is no array.
    public subscript(index: Int) -> JSONValue? {
        guard case .array(let elements) = self, elements.indices.contains(index) else { return nil }
        return elements[index]
    }

    /// Any integer, as `integer` where it fits, else as `unsigned`.
    public static func number(_ value: some BinaryInteger) -> JSONValue {
        if let value = Int64(exactly: value) { return .integer(value) }
        if let value = UInt64(exactly: value) { return .unsigned(value) }
        return .double(Double(value))
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByBooleanLiteral,
    ExpressibleByNilLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(floatLiteral value: Double) { self = .double(value) }
    public init(booleanLiteral value: Bool) { self = .boolean(value) }
    public init(nilLiteral: ()) { self = .null }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSONValue)...) { self = .object(JSONObject(elements)) }
}

/// Builds a tree from a view.
private struct TreeBuilder {
    let refusesDuplicates: Bool

    mutating func value(_ view: JSONView, depth: Int) throws(ApusError) -> JSONValue {
        guard depth < Limits.JSON.depth || (view.kind != .array && view.kind != .object) else {
            throw ApusError(
                .invalidJSON, "The JSON has more than \(Limits.JSON.depth) objects and arrays inside one another.")
        }
        switch view.kind {
        case .null: return .null
        case .boolean: return .boolean(view.boolean ?? false)
        case .integer: return .integer(view.integer ?? 0)
        case .unsigned: return .unsigned(view.unsigned ?? 0)
        case .double: return .double(view.double ?? 0)
        case .string: return .string(view.string ?? "")
        case .array:
            var elements: [JSONValue] = []
            for element in view.elements { elements.append(try self.value(element, depth: depth + 1)) }
            return .array(elements)
        case .object: return .object(try self.object(view, depth: depth))
        }
    }

    private mutating func object(_ view: JSONView, depth: Int) throws(ApusError) -> JSONObject {
        var members: [JSONObject.Member] = []
        // Small objects are searched by walking; the table is made once an object is large enough to be worth one.
        var places: [String: Int] = [:]
        for member in view.members {
            let value = try self.value(member.value, depth: depth + 1)
            let known =
                places.isEmpty
                ? members.firstIndex { member.isNamed($0.name) } : places[member.name]
            if let known {
                guard !self.refusesDuplicates else {
                    throw ApusError(
                        .invalidJSON, "The JSON has an object with two members \"\(member.name)\". Keep one of them.")
                }
                members[known].value = value
                continue
            }
            let name = member.name
            members.append(JSONObject.Member(name, value))
            if !places.isEmpty {
                places[name] = members.count - 1
            } else if members.count == 12 {
                for (index, member) in members.enumerated() { places[member.name] = index }
            }
        }
        return JSONObject(distinct: members)
    }
}

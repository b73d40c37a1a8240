internal import ApusJSON

/// A value of `const` or `enum`.
enum SchemaLiteral: Sendable {
    case null
    case boolean(Bool)
    case number(SchemaNumber)
    case string([UInt8])
    case array([SchemaLiteral])
    case object([(name: [UInt8], value: SchemaLiteral)])

    init(_ value: Int, in arena: SchemaArena) {
        switch arena[value] {
        case .null: self = .null
        case .boolean(let value): self = .boolean(value)
        case .number(let number): self = .number(number)
        case .string(let bytes): self = .string(bytes)
        case .array(let elements): self = .array(elements.map { SchemaLiteral($0, in: arena) })
        case .object(let members): self = .object(members.map { ($0.name, SchemaLiteral($0.value, in: arena)) })
        }
    }

    /// Whether a value is this one. Strings by their bytes, numbers by their worth, members in any order.
    func equals(_ view: JSONView) -> Bool {
        switch self {
        case .null: return view.isNull
        case .boolean(let value): return view.boolean == value
        case .number(let number): return SchemaNumber(view).map { $0 == number } ?? false
        case .string(let bytes): return view.utf8.map { $0.elementsEqual(bytes) } ?? false
        case .array(let literals):
            guard view.kind == .array else { return false }
            var rest = literals[...]
            for element in view.elements {
                guard let literal = rest.popFirst(), literal.equals(element) else { return false }
            }
            return rest.isEmpty
        case .object(let members):
            guard view.kind == .object else { return false }
            var count = 0
            for member in view.members {
                guard let name = member.nameUTF8,
                    let literal = members.first(where: { $0.name.elementsEqual(name) })?.value,
                    literal.equals(member.value)
                else { return false }
                count += 1
            }
            return count == members.count
        }
    }

    /// As JSON, shortened: for messages.
    var text: String {
        switch self {
        case .null: "null"
        case .boolean(let value): "\(value)"
        case .number(let number): number.text
        case .string(let bytes): Quotation.quoted(String(decoding: bytes, as: UTF8.self))
        case .array(let elements): elements.isEmpty ? "[]" : "[\(elements.count) elements]"
        case .object(let members): members.isEmpty ? "{}" : "{\(members.count) members}"
        }
    }
}

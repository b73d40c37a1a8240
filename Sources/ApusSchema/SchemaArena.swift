internal import ApusCore
internal import ApusJSON

/// The texts of schemas while they are compiled: every value has a number, and names are bytes.
///
/// A tree of `JSONValue` would not do: its names compare as `String`s, to which two spellings of `é` are one.
struct SchemaArena {
    /// What a value is.
    enum Value {
        case null
        case boolean(Bool)
        case number(SchemaNumber)
        case string([UInt8])
        case array([Int])
        case object([Member])
    }

    struct Member {
        let name: [UInt8]
        let value: Int
    }

    private(set) var values: [Value] = []
    /// The value that holds this one, and its place there; for pointers in messages.
    private var parents: [(parent: Int, place: String)] = []

    subscript(value: Int) -> Value { self.values[value] }

    /// Adds a text.
    /// - Returns: its outermost value.
    /// - Throws: why it is no JSON, or goes beyond a bound.
    mutating func add(_ text: [UInt8]) throws(SchemaError) -> Int {
        guard text.count <= Limits.Schema.textBytes else {
            throw SchemaError("", "has \(text.count) bytes; a schema has at most \(Limits.Schema.textBytes)")
        }
        let outcome: Result<Int, SchemaError>
        do throws(ApusError) {
            outcome = try JSONParser().parse(text) { (view) throws(ApusError) in
                do throws(SchemaError) { return .success(try self.add(view, in: -1, at: "", depth: 0)) } catch {
                    return .failure(error)
                }
            }
        } catch {
            throw SchemaError("", "is no JSON: \(error.message)")
        }
        return try outcome.get()
    }

    private mutating func add(_ view: JSONView, in parent: Int, at place: String, depth: Int) throws(SchemaError) -> Int
    {
        let value = self.values.count
        self.values.append(.null)
        self.parents.append((parent, place))
        guard depth < Limits.Schema.depth else {
            throw SchemaError(
                self.pointer(to: value), "has more than \(Limits.Schema.depth) objects and arrays inside one another")
        }
        switch view.kind {
        case .null: break
        case .boolean: self.values[value] = .boolean(view.boolean ?? false)
        case .integer, .unsigned, .double:
            if let number = SchemaNumber(view) { self.values[value] = .number(number) }
        case .string: self.values[value] = .string(view.utf8.map(Array.init) ?? [])
        case .array:
            var elements: [Int] = []
            for element in view.elements {
                elements.append(try self.add(element, in: value, at: "\(elements.count)", depth: depth + 1))
            }
            self.values[value] = .array(elements)
        case .object:
            var members: [Member] = []
            var names: Set<[UInt8]> = []
            for member in view.members {
                let name = member.nameUTF8.map(Array.init) ?? []
                guard names.insert(name).inserted else {
                    throw SchemaError(self.pointer(to: value), "has two members \"\(member.name)\"; keep one of them")
                }
                let child = try self.add(
                    member.value, in: value, at: JSONPointer.escaped(member.name), depth: depth + 1)
                members.append(Member(name: name, value: child))
            }
            self.values[value] = .object(members)
        }
        return value
    }

    func members(of value: Int) -> [Member]? {
        if case .object(let members) = self.values[value] { members } else { nil }
    }
    func elements(of value: Int) -> [Int]? {
        if case .array(let elements) = self.values[value] { elements } else { nil }
    }

    func string(_ value: Int) -> String? {
        if case .string(let bytes) = self.values[value] { String(decoding: bytes, as: UTF8.self) } else { nil }
    }

    func member(_ name: String, of value: Int) -> Int? {
        guard case .object(let members) = self.values[value] else { return nil }
        return members.first { $0.name.elementsEqual(name.utf8) }?.value
    }

    func member(_ name: [UInt8], of value: Int) -> Int? {
        guard case .object(let members) = self.values[value] else { return nil }
        return members.first { $0.name == name }?.value
    }

    /// What was added of that member as a string.
    func string(_ name: String, of value: Int) -> String? { self.member(name, of: value).flatMap { self.string($0) } }

    func parent(of value: Int) -> Int? { self.parents[value].parent < 0 ? nil : self.parents[value].parent }

    /// Where the value lies in its text.
    func pointer(to value: Int) -> String {
        var places: [String] = []
        var at = value
        while self.parents[at].parent >= 0 {
            places.append(self.parents[at].place)
            at = self.parents[at].parent
        }
        return places.reversed().map { "/" + $0 }.joined()
    }
}

extension SchemaNumber {
    init?(_ view: JSONView) {
        if let value = view.integer {
            self = .integer(value)
        } else if let value = view.unsigned {
            self = .unsigned(value)
        } else if let value = view.double {
            self = .double(value)
        } else {
            return nil
        }
    }
}

/// Writing JSON pointers.
enum JSONPointer {
    static func escaped(_ name: String) -> String {
        guard name.utf8.contains(where: { $0 == UInt8(ascii: "~") || $0 == UInt8(ascii: "/") }) else { return name }
        var text = ""
        for scalar in name.unicodeScalars {
            switch scalar {
            case "~": text += "~0"
            case "/": text += "~1"
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text
    }

    /// The names of a pointer's parts, unescaped; nil when it is none.
    static func parts(_ bytes: [UInt8]) -> [[UInt8]]? {
        guard let first = bytes.first else { return [] }
        guard first == UInt8(ascii: "/") else { return nil }
        return bytes.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).map { part in
            var name: [UInt8] = []
            var isEscaped = false
            for byte in part {
                if isEscaped {
                    name.append(
                        byte == UInt8(ascii: "0")
                            ? UInt8(ascii: "~") : byte == UInt8(ascii: "1") ? UInt8(ascii: "/") : byte)
                    isEscaped = false
                } else if byte == UInt8(ascii: "~") {
                    isEscaped = true
                } else {
                    name.append(byte)
                }
            }
            return name
        }
    }
}

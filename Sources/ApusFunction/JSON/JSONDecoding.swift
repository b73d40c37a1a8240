/// `Decoder` over a parsed value: what the compiler's synthesized `init(from:)` reads from.
struct JSONDecoding: Decoder {
    let value: JSON
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    init(_ value: JSON, path: [any CodingKey]) {
        self.value = value
        self.codingPath = path
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard case .object(let members) = self.value else { throw self.mismatch([String: JSON].self, "an object") }
        // The last of a name counts, as in most readers.
        let table = Dictionary(members.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 })
        return KeyedDecodingContainer(Keyed<Key>(decoder: self, members: table))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard case .array(let elements) = self.value else { throw self.mismatch([JSON].self, "an array") }
        return Unkeyed(decoder: self, elements: elements)
    }

    func singleValueContainer() -> any SingleValueDecodingContainer { Single(decoder: self) }

    func inside(_ value: JSON, _ key: any CodingKey) -> JSONDecoding {
        JSONDecoding(value, path: self.codingPath + [key])
    }

    func mismatch(_ type: Any.Type, _ expected: String) -> DecodingError {
        let context = DecodingError.Context(
            codingPath: self.codingPath, debugDescription: "expected \(expected), found \(self.value.kind)")
        return self.value == .null ? .valueNotFound(type, context) : .typeMismatch(type, context)
    }

    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        if let value = self.value as? Value { return value }
        return try Value(from: self)
    }

    // MARK: single values

    func string() throws -> String {
        guard case .string(let text) = self.value else { throw self.mismatch(String.self, "a string") }
        return text
    }

    func boolean() throws -> Bool {
        guard case .boolean(let value) = self.value else { throw self.mismatch(Bool.self, "a Boolean") }
        return value
    }

    func double() throws -> Double {
        guard let value = self.value.double else { throw self.mismatch(Double.self, "a number") }
        return value
    }

    func integer<Integer: FixedWidthInteger>(_ type: Integer.Type) throws -> Integer {
        guard let value: Integer = self.value.exactly() else {
            guard self.value.double == nil else {
                throw DecodingError.dataCorrupted(
                    .init(codingPath: self.codingPath, debugDescription: "the number does not fit \(type)"))
            }
            throw self.mismatch(type, "a number")
        }
        return value
    }
}

/// The key of an array's element.
struct IndexKey: CodingKey {
    let index: Int
    init(_ index: Int) { self.index = index }
    init?(intValue: Int) { self.index = intValue }
    init?(stringValue: String) { nil }
    var intValue: Int? { self.index }
    var stringValue: String { "\(self.index)" }
}

private struct SuperKey: CodingKey {
    init() {}
    init?(intValue: Int) { nil }
    init?(stringValue: String) { nil }
    var intValue: Int? { nil }
    var stringValue: String { "super" }
}

private struct Keyed<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let decoder: JSONDecoding
    let members: [String: JSON]

    var codingPath: [any CodingKey] { self.decoder.codingPath }
    var allKeys: [Key] { self.members.keys.compactMap(Key.init(stringValue:)) }

    func contains(_ key: Key) -> Bool { self.members[key.stringValue] != nil }

    private func at(_ key: some CodingKey) throws -> JSONDecoding {
        guard let value = self.members[key.stringValue] else {
            throw DecodingError.keyNotFound(
                key, .init(codingPath: self.codingPath, debugDescription: "'\(key.stringValue)' is missing"))
        }
        return self.decoder.inside(value, key)
    }

    func decodeNil(forKey key: Key) throws -> Bool { try self.at(key).value == .null }
    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try self.at(key).boolean() }
    func decode(_ type: String.Type, forKey key: Key) throws -> String { try self.at(key).string() }
    func decode(_ type: Double.Type, forKey key: Key) throws -> Double { try self.at(key).double() }
    func decode(_ type: Float.Type, forKey key: Key) throws -> Float { Float(try self.at(key).double()) }
    func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try self.at(key).integer(type) }
    func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { try self.at(key).integer(type) }
    func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 { try self.at(key).integer(type) }
    func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { try self.at(key).integer(type) }
    func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try self.at(key).integer(type) }
    func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { try self.at(key).integer(type) }
    func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 { try self.at(key).integer(type) }
    func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 { try self.at(key).integer(type) }
    func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 { try self.at(key).integer(type) }
    func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { try self.at(key).integer(type) }
    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value { try self.at(key).decode(type) }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> {
        try self.at(key).container(keyedBy: type)
    }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try self.at(key).unkeyedContainer()
    }
    func superDecoder() throws -> any Decoder { self.decoder.inside(self.members["super"] ?? .null, SuperKey()) }
    func superDecoder(forKey key: Key) throws -> any Decoder {
        self.decoder.inside(self.members[key.stringValue] ?? .null, key)
    }
}

private struct Unkeyed: UnkeyedDecodingContainer {
    let decoder: JSONDecoding
    let elements: [JSON]
    private(set) var currentIndex = 0

    init(decoder: JSONDecoding, elements: [JSON]) {
        self.decoder = decoder
        self.elements = elements
    }

    var codingPath: [any CodingKey] { self.decoder.codingPath }
    var count: Int? { self.elements.count }
    var isAtEnd: Bool { self.currentIndex >= self.elements.count }

    private func here(_ type: Any.Type) throws -> JSONDecoding {
        guard !self.isAtEnd else {
            throw DecodingError.valueNotFound(
                type,
                .init(codingPath: self.codingPath, debugDescription: "the array has \(self.elements.count) elements"))
        }
        return self.decoder.inside(self.elements[self.currentIndex], IndexKey(self.currentIndex))
    }

    private mutating func next<Value>(_ type: Value.Type, _ body: (JSONDecoding) throws -> Value) throws -> Value {
        let value = try body(try self.here(type))
        self.currentIndex += 1
        return value
    }

    mutating func decodeNil() throws -> Bool {
        guard try self.here(JSON.self).value == .null else { return false }
        self.currentIndex += 1
        return true
    }
    mutating func decode(_ type: Bool.Type) throws -> Bool { try self.next(type) { try $0.boolean() } }
    mutating func decode(_ type: String.Type) throws -> String { try self.next(type) { try $0.string() } }
    mutating func decode(_ type: Double.Type) throws -> Double { try self.next(type) { try $0.double() } }
    mutating func decode(_ type: Float.Type) throws -> Float { try self.next(type) { Float(try $0.double()) } }
    mutating func decode(_ type: Int.Type) throws -> Int { try self.next(type) { try $0.integer(type) } }
    mutating func decode(_ type: Int8.Type) throws -> Int8 { try self.next(type) { try $0.integer(type) } }
    mutating func decode(_ type: Int16.Type) throws -> Int16 { try self.next(type) { try $0.integer(type) } }
    mutating func decode(_ type: Int32.Type) throws -> Int32 { try self.next(type) { try $0.integer(type) } }
    mutating func decode(_ type: Int64.Type) throws -> Int64 { try self.next(type) { try $0.integer(type) } }
    mutating func decode(_ type: UInt.Type) throws -> UInt { try self.next(type) { try $0.integer(type) } }
    mutating func decode(_ type: UInt8.Type) throws -> UInt8 { try self.next(type) { try $0.integer(type) } }
    mutating func decode(_ type: UInt16.Type) throws -> UInt16 { try self.next(type) { try $0.integer(type) } }
    mutating func decode(_ type: UInt32.Type) throws -> UInt32 { try self.next(type) { try $0.integer(type) } }
    mutating func decode(_ type: UInt64.Type) throws -> UInt64 { try self.next(type) { try $0.integer(type) } }
    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        try self.next(type) { try $0.decode(type) }
    }

    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) throws -> KeyedDecodingContainer<Nested> {
        try self.next(KeyedDecodingContainer<Nested>.self) { try $0.container(keyedBy: type) }
    }
    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try self.next((any UnkeyedDecodingContainer).self) { try $0.unkeyedContainer() }
    }
    mutating func superDecoder() throws -> any Decoder { try self.next((any Decoder).self) { $0 } }
}

private struct Single: SingleValueDecodingContainer {
    let decoder: JSONDecoding

    var codingPath: [any CodingKey] { self.decoder.codingPath }
    func decodeNil() -> Bool { self.decoder.value == .null }
    func decode(_ type: Bool.Type) throws -> Bool { try self.decoder.boolean() }
    func decode(_ type: String.Type) throws -> String { try self.decoder.string() }
    func decode(_ type: Double.Type) throws -> Double { try self.decoder.double() }
    func decode(_ type: Float.Type) throws -> Float { Float(try self.decoder.double()) }
    func decode(_ type: Int.Type) throws -> Int { try self.decoder.integer(type) }
    func decode(_ type: Int8.Type) throws -> Int8 { try self.decoder.integer(type) }
    func decode(_ type: Int16.Type) throws -> Int16 { try self.decoder.integer(type) }
    func decode(_ type: Int32.Type) throws -> Int32 { try self.decoder.integer(type) }
    func decode(_ type: Int64.Type) throws -> Int64 { try self.decoder.integer(type) }
    func decode(_ type: UInt.Type) throws -> UInt { try self.decoder.integer(type) }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try self.decoder.integer(type) }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try self.decoder.integer(type) }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try self.decoder.integer(type) }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try self.decoder.integer(type) }
    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try self.decoder.decode(type) }
}

/// `Encoder` that builds a value: what the compiler's synthesized `encode(to:)` writes to.
final class JSONEncoding: Encoder {
    /// Where a value goes: filled by whichever container its type asks for.
    final class Slot {
        var value: JSON?
        /// A container is filled by reference; its value is taken once all is written.
        var container: (() -> JSON)?
        func finish() -> JSON? { self.container.map { $0() } ?? self.value }
    }

    let slot: Slot
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    init(slot: Slot, path: [any CodingKey]) {
        self.slot = slot
        self.codingPath = path
    }

    static func value(of value: some Encodable, path: [any CodingKey]) throws -> JSON {
        if let json = value as? JSON { return json }
        let slot = Slot()
        try value.encode(to: JSONEncoding(slot: slot, path: path))
        // A type that encodes nothing at all is an object without members.
        return slot.finish() ?? .object([])
    }

    static func number(_ value: Double, path: [any CodingKey]) throws -> JSON {
        guard value.isFinite else {
            throw EncodingError.invalidValue(
                value, .init(codingPath: path, debugDescription: "JSON has no number \(value)"))
        }
        return .number(value)
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        KeyedEncodingContainer(Keyed<Key>(members: Members(self.slot), codingPath: self.codingPath))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        Unkeyed(elements: Elements(self.slot), codingPath: self.codingPath)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer {
        Single(slot: self.slot, codingPath: self.codingPath)
    }
}

private final class Members {
    var members: [(name: String, slot: JSONEncoding.Slot)] = []

    init(_ slot: JSONEncoding.Slot) {
        // A class and its superclass may write to the same container, one after the other.
        let before = slot.container
        slot.container = { [self] in
            var all: [JSON.Member] = []
            if case .object(let earlier) = before?() { all = earlier }
            return .object(
                all + self.members.compactMap { member in member.slot.finish().map { .init(member.name, $0) } })
        }
    }

    func slot(_ key: some CodingKey) -> JSONEncoding.Slot {
        let slot = JSONEncoding.Slot()
        self.members.append((key.stringValue, slot))
        return slot
    }
}

private final class Elements {
    var slots: [JSONEncoding.Slot] = []

    init(_ slot: JSONEncoding.Slot) {
        slot.container = { [self] in .array(self.slots.map { $0.finish() ?? .object([]) }) }
    }

    func slot() -> JSONEncoding.Slot {
        let slot = JSONEncoding.Slot()
        self.slots.append(slot)
        return slot
    }
}

private struct Keyed<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let members: Members
    let codingPath: [any CodingKey]

    private func put(_ value: JSON, _ key: Key) { self.members.slot(key).value = value }
    private func encoder(_ key: some CodingKey) -> JSONEncoding {
        JSONEncoding(slot: self.members.slot(key), path: self.codingPath + [key])
    }

    func encodeNil(forKey key: Key) { self.put(.null, key) }
    func encode(_ value: Bool, forKey key: Key) { self.put(.boolean(value), key) }
    func encode(_ value: String, forKey key: Key) { self.put(.string(value), key) }
    func encode(_ value: Double, forKey key: Key) throws {
        self.put(try JSONEncoding.number(value, path: self.codingPath + [key]), key)
    }
    func encode(_ value: Float, forKey key: Key) throws { self.put(try single(value, self.codingPath + [key]), key) }
    func encode(_ value: Int, forKey key: Key) { self.put(.integer(Int64(value)), key) }
    func encode(_ value: Int8, forKey key: Key) { self.put(.integer(Int64(value)), key) }
    func encode(_ value: Int16, forKey key: Key) { self.put(.integer(Int64(value)), key) }
    func encode(_ value: Int32, forKey key: Key) { self.put(.integer(Int64(value)), key) }
    func encode(_ value: Int64, forKey key: Key) { self.put(.integer(value), key) }
    func encode(_ value: UInt, forKey key: Key) { self.put(integer(UInt64(value)), key) }
    func encode(_ value: UInt8, forKey key: Key) { self.put(.integer(Int64(value)), key) }
    func encode(_ value: UInt16, forKey key: Key) { self.put(.integer(Int64(value)), key) }
    func encode(_ value: UInt32, forKey key: Key) { self.put(.integer(Int64(value)), key) }
    func encode(_ value: UInt64, forKey key: Key) { self.put(integer(value), key) }
    func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws {
        self.put(try JSONEncoding.value(of: value, path: self.codingPath + [key]), key)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> { self.encoder(key).container(keyedBy: type) }
    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        self.encoder(key).unkeyedContainer()
    }
    func superEncoder() -> any Encoder { self.encoder(NameKey("super")) }
    func superEncoder(forKey key: Key) -> any Encoder { self.encoder(key) }
}

private struct Unkeyed: UnkeyedEncodingContainer {
    let elements: Elements
    let codingPath: [any CodingKey]
    var count: Int { self.elements.slots.count }

    private func put(_ value: JSON) { self.elements.slot().value = value }
    private var path: [any CodingKey] { self.codingPath + [IndexKey(self.count)] }

    func encodeNil() { self.put(.null) }
    func encode(_ value: Bool) { self.put(.boolean(value)) }
    func encode(_ value: String) { self.put(.string(value)) }
    func encode(_ value: Double) throws { self.put(try JSONEncoding.number(value, path: self.path)) }
    func encode(_ value: Float) throws { self.put(try single(value, self.path)) }
    func encode(_ value: Int) { self.put(.integer(Int64(value))) }
    func encode(_ value: Int8) { self.put(.integer(Int64(value))) }
    func encode(_ value: Int16) { self.put(.integer(Int64(value))) }
    func encode(_ value: Int32) { self.put(.integer(Int64(value))) }
    func encode(_ value: Int64) { self.put(.integer(value)) }
    func encode(_ value: UInt) { self.put(integer(UInt64(value))) }
    func encode(_ value: UInt8) { self.put(.integer(Int64(value))) }
    func encode(_ value: UInt16) { self.put(.integer(Int64(value))) }
    func encode(_ value: UInt32) { self.put(.integer(Int64(value))) }
    func encode(_ value: UInt64) { self.put(integer(value)) }
    func encode<Value: Encodable>(_ value: Value) throws {
        self.put(try JSONEncoding.value(of: value, path: self.path))
    }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
        JSONEncoding(slot: self.elements.slot(), path: self.codingPath).container(keyedBy: type)
    }
    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        JSONEncoding(slot: self.elements.slot(), path: self.codingPath).unkeyedContainer()
    }
    func superEncoder() -> any Encoder { JSONEncoding(slot: self.elements.slot(), path: self.codingPath) }
}

private struct Single: SingleValueEncodingContainer {
    let slot: JSONEncoding.Slot
    let codingPath: [any CodingKey]

    func encodeNil() { self.slot.value = .null }
    func encode(_ value: Bool) { self.slot.value = .boolean(value) }
    func encode(_ value: String) { self.slot.value = .string(value) }
    func encode(_ value: Double) throws { self.slot.value = try JSONEncoding.number(value, path: self.codingPath) }
    func encode(_ value: Float) throws { self.slot.value = try single(value, self.codingPath) }
    func encode(_ value: Int) { self.slot.value = .integer(Int64(value)) }
    func encode(_ value: Int8) { self.slot.value = .integer(Int64(value)) }
    func encode(_ value: Int16) { self.slot.value = .integer(Int64(value)) }
    func encode(_ value: Int32) { self.slot.value = .integer(Int64(value)) }
    func encode(_ value: Int64) { self.slot.value = .integer(value) }
    func encode(_ value: UInt) { self.slot.value = integer(UInt64(value)) }
    func encode(_ value: UInt8) { self.slot.value = .integer(Int64(value)) }
    func encode(_ value: UInt16) { self.slot.value = .integer(Int64(value)) }
    func encode(_ value: UInt32) { self.slot.value = .integer(Int64(value)) }
    func encode(_ value: UInt64) { self.slot.value = integer(value) }
    func encode<Value: Encodable>(_ value: Value) throws {
        self.slot.value = try JSONEncoding.value(of: value, path: self.codingPath)
    }
}

private struct NameKey: CodingKey {
    let stringValue: String
    init(_ name: String) { self.stringValue = name }
    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
    var intValue: Int? { nil }
}

private func integer(_ value: UInt64) -> JSON { Int64(exactly: value).map { .integer($0) } ?? .unsigned(value) }

/// A Float as it is written, not as the Double nearest to it.
private func single(_ value: Float, _ path: [any CodingKey]) throws -> JSON {
    try JSONEncoding.number(Double(value.description) ?? Double(value), path: path)
}

public import ApusCore
internal import ApusCrypto
internal import ApusJSON

/// A secret as its record holds it: who has the record and not the key learns its length.
public struct SealedSecret: Sendable, Equatable {
    /// Grows with every value that is set under the name, not always by one, through deletions too.
    public var version: UInt64
    /// Of the master key that opens it.
    public var key: String
    /// Nonce, ciphertext and tag of AES-256-GCM.
    public var sealed: [UInt8]
    /// When this value was set, and by whom.
    public var set: Timestamp
    public var setBy: String

    public init(version: UInt64, key: String, sealed: [UInt8], set: Timestamp, setBy: String) {
        self.version = version
        self.key = key
        self.sealed = sealed
        self.set = set
        self.setBy = setBy
    }

    /// What is sealed with the value and must be the same when it is opened: a record that was copied under another name, into
    /// another namespace or behind a newer version opens no more.
    static func associated(_ name: SecretName, version: UInt64, key: String) -> [UInt8] {
        Array("apus secret 1\n\(name.namespace)\n\(name.name)\n\(version)\n\(key)".utf8)
    }
}

extension SealedSecret {
    func write(into object: inout JSONObject) {
        object["version"] = .number(self.version)
        object["key"] = .string(self.key)
        object["sealed"] = .string(Hex.encode(self.sealed))
        object["set"] = .integer(self.set.microseconds)
        object["setBy"] = .string(self.setBy)
    }

    init(_ json: JSONValue) throws(ControlRecordError) {
        guard let version = json["version"]?.unsigned, version > 0 else { throw .badMember("version") }
        guard let key = json["key"]?.string, MasterKey.isID(key) else { throw .badMember("key") }
        let most = Limits.Secrets.valueBytes + AEAD.nonceBytes + AEAD.tagBytes
        guard let text = json["sealed"]?.string, text.utf8.count <= 2 * most, let sealed = Hex.decode(text),
            sealed.count > AEAD.nonceBytes + AEAD.tagBytes
        else { throw .badMember("sealed") }
        guard let set = json["set"]?.integer else { throw .badMember("set") }
        guard let setBy = json["setBy"]?.string else { throw .badMember("setBy") }
        self.init(
            version: version, key: key, sealed: sealed, set: Timestamp(microseconds: set), setBy: setBy)
    }
}

/// One secret that is to be sealed under another key; its value and version stay.
public struct SecretReseal: Sendable, Equatable {
    public var name: SecretName
    /// The generation that was opened: one that changed meanwhile is left alone.
    public var generation: UInt64
    public var key: String
    public var sealed: [UInt8]

    public init(name: SecretName, generation: UInt64, key: String, sealed: [UInt8]) {
        self.name = name
        self.generation = generation
        self.key = key
        self.sealed = sealed
    }
}

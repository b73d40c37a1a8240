public import ApusCore
public import ApusCrypto

/// A key that seals secrets.
public final class MasterKey: Sendable {
    /// 16 hexadecimal digits, made of the key by a hash: names it in records without telling anything of it.
    public let id: String
    fileprivate let bytes: SecretBytes

    init(_ bytes: consuming SecretBytes) {
        self.id = bytes.withUnsafeBytes { Hex.encode(Array(SHA256.hash(Array("apus key\n".utf8) + $0).prefix(8))) }
        self.bytes = bytes
    }

    /// A key of 32 bytes for one purpose. It stays in memory as long as whoever asked for it keeps it.
    func derived(for purpose: String) -> [UInt8] {
        self.bytes.withUnsafeBytes { HKDF.sha256(Array($0), info: Array(purpose.utf8)) }
    }

    static func isID(_ text: String) -> Bool {
        text.utf8.count == 16
            && text.utf8.allSatisfy {
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
            }
    }
}

/// The master keys that a server holds. The last is the newest: it seals, all of them open.
public struct MasterKeys: Sendable {
    /// The oldest first; at least one.
    public let keys: [MasterKey]
    /// Where they come from, for people.
    public let origin: String
    /// No key was given: one was made in the data directory, where a copy of the disk takes it along.
    public let isGenerated: Bool

    init(_ keys: [MasterKey], origin: String, isGenerated: Bool) {
        precondition(!keys.isEmpty, "a server has a key")
        self.keys = keys
        self.origin = origin
        self.isGenerated = isGenerated
    }

    public var newest: MasterKey { self.keys[self.keys.count - 1] }

    /// The same with the keys of another source before them: those only open what they sealed.
    public func after(_ older: MasterKeys?) -> MasterKeys {
        guard let older else { return self }
        let known = Set(self.keys.map(\.id))
        return MasterKeys(
            older.keys.filter { !known.contains($0.id) } + self.keys, origin: self.origin,
            isGenerated: self.isGenerated)
    }

    /// Keys of 32 bytes for one purpose, one of each master key; the last is of the newest.
    public func derived(for purpose: String) -> [(id: String, bytes: [UInt8])] {
        self.keys.map { ($0.id, $0.derived(for: purpose)) }
    }

    public func holds(_ id: String) -> Bool { self.keys.contains { $0.id == id } }

    /// - Returns: the value sealed under the newest key.
    public func seal(_ value: borrowing SecretBytes, as name: SecretName, version: UInt64) throws(ApusError)
        -> (key: String, sealed: [UInt8])
    {
        let key = self.newest
        let associated = SealedSecret.associated(name, version: version, key: key.id)
        return (key.id, try AEAD.seal(value, key: key.bytes, associated: associated))
    }

    /// - Throws: `secret_unavailable`, with what to do.
    public func open(_ secret: SealedSecret, of name: SecretName) throws(ApusError) -> SecretBytes {
        guard let key = self.keys.last(where: { $0.id == secret.key }) else {
            throw ApusError(
                .secretUnavailable,
                "the secret '\(name)' is sealed under the key \(secret.key), which this server does not have: "
                    + "start it with the --key-file that holds that key, or set the secret anew with `apus secret set \(name)`"
            )
        }
        do throws(ApusError) {
            return try AEAD.open(
                secret.sealed, key: key.bytes,
                associated: SealedSecret.associated(name, version: secret.version, key: key.id))
        } catch {
            throw ApusError(
                .secretUnavailable,
                "the record of the secret '\(name)' does not open: it was changed, or belongs to another name or version; "
                    + "set it anew with `apus secret set \(name)`", cause: error)
        }
    }
}

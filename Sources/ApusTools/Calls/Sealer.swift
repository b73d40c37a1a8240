internal import ApusCore
internal import ApusCrypto

/// Seals what goes out and must come back unchanged: ids of sessions, states of requests. Any server with the same keys opens it, so that
/// nothing of it is kept.
public struct Sealer: Sendable {
    private struct Key: Sendable {
        var id: [UInt8]
        var bytes: [UInt8]
    }

    private let keys: [Key]

    /// - Parameter keys: those that open, the last of which seals; each with 16 hexadecimal digits that name it.
    public init(_ keys: [(id: String, bytes: [UInt8])]) {
        precondition(!keys.isEmpty, "a server has a key")
        self.keys = keys.map { Key(id: Array($0.id.utf8), bytes: $0.bytes) }
    }

    /// - Parameter bound: what must be the same when it is opened. Kept nowhere in the text.
    /// - Returns: letters, digits, `-` and `_`.
    public func seal(_ plain: [UInt8], boundTo bound: [String]) -> String {
        let key = self.keys[self.keys.count - 1]
        let associated = Self.associated(key.id, bound)
        do throws(ApusError) {
            return Base64URL.encode(key.id + (try AEAD.seal(plain, key: key.bytes, associated: associated)))
        } catch { preconditionFailure("a key of the right length seals: \(error.message)") }
    }

    /// - Returns: nil for what another key sealed, what was changed, and what is bound to something else.
    public func open(_ text: String, boundTo bound: [String]) -> [UInt8]? {
        guard let bytes = Base64URL.decode(text), bytes.count > Self.idBytes else { return nil }
        let id = Array(bytes[..<Self.idBytes])
        guard let key = self.keys.last(where: { $0.id == id }) else { return nil }
        do throws(ApusError) {
            return try AEAD.open(
                Array(bytes[Self.idBytes...]), key: key.bytes, associated: Self.associated(key.id, bound))
        } catch { return nil }
    }

    private static let idBytes = 16

    /// Each with its length before it, so that no two lists make the same bytes.
    private static func associated(_ id: [UInt8], _ bound: [String]) -> [UInt8] {
        var bytes = id
        for text in bound {
            withUnsafeBytes(of: UInt32(text.utf8.count).littleEndian) { bytes.append(contentsOf: $0) }
            bytes.append(contentsOf: text.utf8)
        }
        return bytes
    }
}

/// Base64 that may stand in headers, queries and paths as it is.
enum Base64URL {
    static func encode(_ bytes: [UInt8]) -> String {
        let text = Base64.encode(bytes).utf8.filter { $0 != UInt8(ascii: "=") }.map { byte -> UInt8 in
            switch byte {
            case UInt8(ascii: "+"): UInt8(ascii: "-")
            case UInt8(ascii: "/"): UInt8(ascii: "_")
            default: byte
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    static func decode(_ text: String) -> [UInt8]? {
        var digits = text.utf8.map { byte -> UInt8 in
            switch byte {
            case UInt8(ascii: "-"): UInt8(ascii: "+")
            case UInt8(ascii: "_"): UInt8(ascii: "/")
            // Neither belongs to this alphabet.
            case UInt8(ascii: "+"), UInt8(ascii: "/"), UInt8(ascii: "="): UInt8(ascii: "!")
            default: byte
            }
        }
        while digits.count % 4 != 0 { digits.append(UInt8(ascii: "=")) }
        let padded = String(decoding: digits, as: UTF8.self)
        guard let bytes = Base64.decode(padded), Base64.encode(bytes) == padded else { return nil }
        return bytes
    }
}

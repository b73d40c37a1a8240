internal import ApusCrypto

/// A token that a principal shows: `apus_<id>_<secret><checksum>`.
///
/// The prefix and the checksum let scanners find tokens that somebody committed or pasted, and tell a mistyped token from one
/// that is not known. The id is no secret: lists and the journal show it. The secret is 256 random bits, which is why one round
/// of SHA-256 is enough at rest: slow hashes protect what people can remember, and nobody goes through 2^256 guesses. For the
/// same reason the hash may be looked up in a dictionary: who can time that learns about hashes of what they sent themselves.
public struct AccessToken: Sendable, Equatable {
    public static let prefix = "apus_"
    static let idCharacters = 8
    /// 43 characters of 62 are a little over 256 bits.
    static let secretCharacters = 43
    static let checksumCharacters = 6

    public let text: String
    /// Its visible part.
    public let id: String

    /// A new one that nobody can guess.
    public static func make() -> AccessToken {
        let id = Base62.random(Self.idCharacters)
        let body = "\(Self.prefix)\(id)_\(Base62.random(Self.secretCharacters))"
        return AccessToken(text: body + Self.checksum(body), id: id)
    }

    private init(text: String, id: String) {
        self.text = text
        self.id = id
    }

    public var hash: TokenHash { TokenHash(of: self.text) }

    /// Whether a text is whole: of this form and with the right checksum.
    public static func isWellFormed(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        let prefix = Array(Self.prefix.utf8)
        let bodyCount = prefix.count + Self.idCharacters + 1 + Self.secretCharacters
        guard bytes.count == bodyCount + Self.checksumCharacters, bytes.starts(with: prefix) else { return false }
        guard bytes[prefix.count + Self.idCharacters] == UInt8(ascii: "_") else { return false }
        return Self.checksum(String(decoding: bytes[..<bodyCount], as: UTF8.self)).utf8.elementsEqual(
            bytes[bodyCount...])
    }

    private static func checksum(_ body: String) -> String {
        Base62.encode(CRC32.of(Array(body.utf8)), characters: Self.checksumCharacters)
    }
}

/// The SHA-256 of a token: all that is kept of it.
public struct TokenHash: Sendable, Hashable {
    private let words: (UInt64, UInt64, UInt64, UInt64)

    public init(of token: String) {
        let bytes = SHA256.hash(Array(token.utf8))
        self.init(bytes)
    }

    /// - Returns: nil for what is no 64 hexadecimal digits.
    public init?(hex: String) {
        guard let bytes = Hex.decode(hex), bytes.count == SHA256.byteCount else { return nil }
        self.init(bytes)
    }

    private init(_ bytes: [UInt8]) {
        func word(_ index: Int) -> UInt64 { bytes[index * 8..<index * 8 + 8].reduce(0) { $0 << 8 | UInt64($1) } }
        self.words = (word(0), word(1), word(2), word(3))
    }

    public var hex: String {
        let words = [self.words.0, self.words.1, self.words.2, self.words.3]
        return Hex.encode(words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * $0)) } })
    }

    public static func == (left: TokenHash, right: TokenHash) -> Bool { left.words == right.words }
    // The bits of a hash are even already: the first word tells as much as all.
    public func hash(into hasher: inout Hasher) { hasher.combine(self.words.0) }
}

/// Text of digits and letters, which a double click selects whole and no shell or URL minds.
enum Base62 {
    private static let digits = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)

    /// Each character as likely as any other: bytes that would favour the first ones are thrown away.
    static func random(_ characters: Int) -> String {
        var text: [UInt8] = []
        while text.count < characters {
            for byte in Random.bytes(characters) where byte < 248 && text.count < characters {
                text.append(self.digits[Int(byte) % 62])
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    static func encode(_ number: UInt32, characters: Int) -> String {
        var rest = number
        var text: [UInt8] = []
        for _ in 0..<characters {
            text.append(self.digits[Int(rest % 62)])
            rest /= 62
        }
        return String(decoding: text.reversed(), as: UTF8.self)
    }
}

/// The checksum of zip, PNG and Ethernet.
enum CRC32 {
    static func of(_ bytes: [UInt8]) -> UInt32 {
        var sum = UInt32.max
        for byte in bytes {
            sum ^= UInt32(byte)
            for _ in 0..<8 { sum = sum & 1 == 1 ? sum >> 1 ^ 0xEDB8_8320 : sum >> 1 }
        }
        return ~sum
    }
}

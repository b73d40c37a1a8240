internal import ApusCore
internal import ApusCrypto
internal import ApusJSON

/// The public keys of an issuer, as RFC 7517 writes them. Keys of a kind that is not known here, and those for encryption, are
/// passed over.
struct KeySet: Sendable {
    private struct Entry: Sendable {
        var id: String?
        /// The one algorithm that the issuer means it for; nil for all of its kind.
        var algorithm: String?
        var key: PublicKey
    }

    private let entries: [Entry]

    /// - Returns: nil for what is no key set, or one without a key that can be used.
    init?(parsing bytes: [UInt8]) {
        guard let json = try? JSONValue.parse(bytes), let list = json["keys"]?.array else { return nil }
        self.entries = list.prefix(Limits.Access.keysPerIssuer).compactMap { json in
            guard json["use"]?.string ?? "sig" == "sig", let key = Self.key(json) else { return nil }
            return Entry(id: json["kid"]?.string, algorithm: json["alg"]?.string, key: key)
        }
        if self.entries.isEmpty { return nil }
    }

    var count: Int { self.entries.count }

    /// The key that a token names. One that names none means the only key there is.
    func key(_ id: String?, for algorithm: PublicKey.Algorithm) -> PublicKey? {
        if id == nil, self.entries.count > 1 { return nil }
        return self.entries.first { entry in
            (id == nil || entry.id == id) && (entry.algorithm == nil || entry.algorithm == algorithm.rawValue)
        }?.key
    }

    private static func key(_ json: JSONValue) -> PublicKey? {
        func bytes(_ name: String) -> [UInt8]? { json[name]?.string.flatMap { Base64URL.decode($0) } }
        switch json["kty"]?.string {
        case "RSA":
            guard let modulus = bytes("n"), let exponent = bytes("e") else { return nil }
            return PublicKey(rsaModulus: modulus, exponent: exponent)
        case "EC", "OKP":
            guard let curve = json["crv"]?.string.flatMap(PublicKey.Curve.init(rawValue:)), let x = bytes("x"),
                (curve == .ed25519) == (json["kty"]?.string == "OKP")
            else { return nil }
            return PublicKey(curve: curve, x: x, y: curve == .ed25519 ? nil : bytes("y"))
        default: return nil
        }
    }
}

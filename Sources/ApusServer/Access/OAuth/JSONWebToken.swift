internal import ApusCore
internal import ApusCrypto
internal import ApusJSON
internal import ApusStore

/// A token as RFC 7515 and 7519 write it: header, claims and signature, not checked yet.
struct JSONWebToken {
    let algorithm: PublicKey.Algorithm
    /// Which of its issuer's keys; nil where the issuer has one only.
    let key: String?
    let claims: JSONValue
    let signature: [UInt8]
    /// What the signature is of.
    let signed: [UInt8]

    /// Why a text is no token that could be believed.
    enum Fault: String, Error {
        case form = "it is no JSON Web Token"
        case algorithm = "it is signed by an algorithm that is not accepted"
        case critical = "it names extensions that this server does not know"
    }

    /// Whether a credential looks like one: three parts, and none of our own tokens.
    static func isMeant(_ text: String) -> Bool {
        !text.hasPrefix(AccessToken.prefix) && text.utf8.count(where: { $0 == UInt8(ascii: ".") }) == 2
    }

    init(parsing text: String) throws(Fault) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard text.utf8.count <= Limits.Access.webTokenBytes, parts.count == 3,
            let head = Base64URL.decode(parts[0]), let body = Base64URL.decode(parts[1]),
            let signature = Base64URL.decode(parts[2]),
            let header = try? JSONValue.parse(head), let claims = try? JSONValue.parse(body),
            header.object != nil, claims.object != nil
        else { throw .form }
        // `none` is no algorithm here, nor is any whose key the verifier shares.
        guard let algorithm = header["alg"]?.string.flatMap(PublicKey.Algorithm.init(rawValue:)) else {
            throw .algorithm
        }
        guard header["crit"] == nil else { throw .critical }
        self.algorithm = algorithm
        self.key = header["kid"]?.string
        self.claims = claims
        self.signature = signature
        self.signed = Array(text.utf8.prefix(parts[0].utf8.count + 1 + parts[1].utf8.count))
    }

    /// Whether `aud`, one text or a list of them, names the audience.
    func isFor(_ audience: String) -> Bool {
        switch self.claims["aud"] {
        case .string(let text)?: text.utf8.elementsEqual(audience.utf8)
        case .array(let list)?: list.contains { $0.string?.utf8.elementsEqual(audience.utf8) ?? false }
        default: false
        }
    }

    /// A time in seconds; fractions are allowed and cut off.
    func time(_ claim: String) -> Timestamp? {
        guard let number = self.claims[claim] else { return nil }
        if let seconds = number.integer, (0...253_402_300_799).contains(seconds) {
            return Timestamp(microseconds: seconds * 1_000_000)
        }
        guard let seconds = number.double, (0...253_402_300_799).contains(seconds) else { return nil }
        return Timestamp(microseconds: Int64(seconds) * 1_000_000)
    }

    /// Those of `scope`, separated by spaces, or of `scp`, which may be a list as well.
    var scopes: [String] {
        switch self.claims["scope"] ?? self.claims["scp"] {
        case .string(let text)?: text.split(separator: " ").map(String.init)
        case .array(let list)?: list.compactMap(\.string)
        default: []
        }
    }
}

import ApusCore
import ApusCrypto
import ApusJSON
import CGnuTLS
import Glibc

/// A private key that makes tokens as an authorization server does, and shows its public part as a JSON Web Key.
final class TestSigner {
    let algorithm: PublicKey.Algorithm
    let id: String
    private let key: gnutls_privkey_t

    init(_ algorithm: PublicKey.Algorithm, id: String) {
        self.algorithm = algorithm
        self.id = id
        var key: gnutls_privkey_t?
        precondition(gnutls_privkey_init(&key) == GNUTLS_E_SUCCESS)
        guard let key else { preconditionFailure("no memory for a key") }
        self.key = key
        let (kind, bits): (gnutls_pk_algorithm_t, UInt32) =
            switch algorithm {
            case .es256: (GNUTLS_PK_ECDSA, Self.curveBits(GNUTLS_ECC_CURVE_SECP256R1))
            case .es384: (GNUTLS_PK_ECDSA, Self.curveBits(GNUTLS_ECC_CURVE_SECP384R1))
            case .edDSA: (GNUTLS_PK_EDDSA_ED25519, Self.curveBits(GNUTLS_ECC_CURVE_ED25519))
            default: (GNUTLS_PK_RSA, 2_048)
            }
        precondition(gnutls_privkey_generate(key, kind, bits, 0) == GNUTLS_E_SUCCESS)
    }

    deinit { gnutls_privkey_deinit(self.key) }

    /// As GNUTLS_CURVE_TO_BITS, a macro that Swift cannot import.
    private static func curveBits(_ curve: gnutls_ecc_curve_t) -> UInt32 { 1 << 31 | UInt32(curve.rawValue) }

    var jwk: JSONValue {
        var json: JSONValue = ["kid": .string(self.id), "use": "sig", "alg": .string(self.algorithm.rawValue)]
        var (a, b) = (gnutls_datum_t(), gnutls_datum_t())
        switch self.algorithm {
        case .es256, .es384, .edDSA:
            var curve = GNUTLS_ECC_CURVE_INVALID
            precondition(gnutls_privkey_export_ecc_raw2(self.key, &curve, &a, &b, nil, 0) == GNUTLS_E_SUCCESS)
            let bytes = self.algorithm == .es384 ? 48 : 32
            json["kty"] = self.algorithm == .edDSA ? "OKP" : "EC"
            json["crv"] =
                self.algorithm == .edDSA ? "Ed25519" : self.algorithm == .es256 ? "P-256" : "P-384"
            json["x"] = .string(Base64URL.encode(Self.take(a, bytes)))
            if self.algorithm != .edDSA { json["y"] = .string(Base64URL.encode(Self.take(b, bytes))) }
        default:
            precondition(
                gnutls_privkey_export_rsa_raw2(self.key, &a, &b, nil, nil, nil, nil, nil, nil, 0) == GNUTLS_E_SUCCESS)
            json["kty"] = "RSA"
            json["n"] = .string(Base64URL.encode(Self.take(a, nil)))
            json["e"] = .string(Base64URL.encode(Self.take(b, nil)))
        }
        return json
    }

    func token(_ claims: JSONValue, header: JSONValue? = nil) -> String {
        let head: JSONValue =
            header ?? ["alg": .string(self.algorithm.rawValue), "kid": .string(self.id), "typ": "JWT"]
        let signed = "\(Base64URL.encode(head.encoded())).\(Base64URL.encode(claims.encoded()))"
        return "\(signed).\(Base64URL.encode(self.sign(Array(signed.utf8))))"
    }

    private func sign(_ bytes: [UInt8]) -> [UInt8] {
        let algorithm =
            switch self.algorithm {
            case .rs256: GNUTLS_SIGN_RSA_SHA256
            case .rs384: GNUTLS_SIGN_RSA_SHA384
            case .rs512: GNUTLS_SIGN_RSA_SHA512
            case .ps256: GNUTLS_SIGN_RSA_PSS_RSAE_SHA256
            case .es256: GNUTLS_SIGN_ECDSA_SHA256
            case .es384: GNUTLS_SIGN_ECDSA_SHA384
            case .edDSA: GNUTLS_SIGN_EDDSA_ED25519
            }
        var signature = gnutls_datum_t()
        var bytes = bytes
        let code = bytes.withUnsafeMutableBufferPointer { buffer in
            var datum = gnutls_datum_t(data: buffer.baseAddress, size: UInt32(buffer.count))
            return gnutls_privkey_sign_data2(self.key, algorithm, 0, &datum, &signature)
        }
        precondition(code == GNUTLS_E_SUCCESS, "gnutls_privkey_sign_data2: \(code)")
        guard self.algorithm == .es256 || self.algorithm == .es384 else { return Self.take(signature, nil) }
        var (r, s) = (gnutls_datum_t(), gnutls_datum_t())
        precondition(gnutls_decode_rs_value(&signature, &r, &s) == GNUTLS_E_SUCCESS)
        free(signature.data)
        let bytesOfHalf = self.algorithm == .es256 ? 32 : 48
        return Self.take(r, bytesOfHalf) + Self.take(s, bytesOfHalf)
    }

    /// A number of so many bytes, whatever zeros GnuTLS put before it or left out.
    private static func take(_ datum: gnutls_datum_t, _ bytes: Int?) -> [UInt8] {
        let all = Array(UnsafeBufferPointer(start: datum.data, count: Int(datum.size)))
        free(datum.data)
        guard let bytes else { return all }
        let number = all.drop { $0 == 0 }
        return [UInt8](repeating: 0, count: bytes - number.count) + number
    }
}

import Testing

@testable import ApusCrypto

@Suite struct SigningKeyTests {
    /// RFC 8032, section 7.1, test 2, as PKCS #8 (RFC 8410).
    private static let pem = """
        -----BEGIN PRIVATE KEY-----
        MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7
        -----END PRIVATE KEY-----

        """

    @Test func whatItSignsIsThatOfTheStandard() throws {
        let key = try #require(SigningKey(pem: Array(Self.pem.utf8)))
        #expect(Hex.encode(key.publicKey) == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
        let signature = try #require(key.sign([0x72]))
        #expect(
            Hex.encode(signature)
                == "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        )
        let other = try #require(PublicKey(curve: .ed25519, x: key.publicKey, y: nil))
        #expect(other.verifies(signature, of: [0x72], by: .edDSA))
        #expect(!other.verifies(signature, of: [0x73], by: .edDSA) && !other.verifies([], of: [0x72], by: .edDSA))
    }

    @Test func whatIsNoSuchKeyIsNone() {
        // A key of an elliptic curve of NIST's, and texts that are none.
        let p256 = """
            -----BEGIN PRIVATE KEY-----
            MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgr5kIB0yHGWhCRd4L
            -----END PRIVATE KEY-----

            """
        for text in ["", "x", p256, String(Self.pem.dropLast(40))] {
            #expect(SigningKey(pem: Array(text.utf8)) == nil, "\(text)")
        }
    }
}

import Testing

@testable import ApusCrypto

@Suite struct HKDFTests {
    /// RFC 5869, appendix A.
    @Test func keysAreThoseOfTheStandard() throws {
        let secret = [UInt8](repeating: 0x0b, count: 22)
        let first = HKDF.sha256(
            secret, salt: Array(0...0x0c), info: Array(0xf0...0xf9), count: 42)
        #expect(
            Hex.encode(first)
                == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")
        let third = HKDF.sha256(secret, info: [], count: 42)
        #expect(
            Hex.encode(third)
                == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8")
    }
}

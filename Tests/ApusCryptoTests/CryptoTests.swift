import ApusCore
import ApusTestSupport
import Testing

@testable import ApusCrypto

@Suite struct SHA256Tests {
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func knownAnswersHold(text: String, expected: String) {
        #expect(Hex.encode(SHA256.hash(Array(text.utf8))) == expected)
        #expect(SHA256.hex(of: text) == expected)
    }

    @Test func bytesInPiecesHashAsBytesAtOnce() {
        let bytes = Random.bytes(100_000)
        var hasher = SHA256()
        var start = 0
        for size in [0, 1, 63, 64, 65, 1_000, 40_000] {
            hasher.update(Array(bytes[start..<start + size]))
            start += size
        }
        hasher.update(Array(bytes[start...]))
        let pieces = hasher.finish()
        #expect(pieces == SHA256.hash(bytes))
    }

    @Test func anUnfinishedHasherCanBeDropped() {
        for _ in 0..<100 {
            var hasher = SHA256()
            hasher.update([1, 2, 3])
        }
        let empty = SHA256().finish()
        #expect(empty == SHA256.hash(UnsafeRawBufferPointer(start: nil, count: 0)))
    }
}

@Suite struct HMACTests {
    /// RFC 4231, cases 1, 2 and 6.
    @Test func knownAnswersHold() {
        #expect(
            Hex.encode(HMAC.sha256(Array("Hi There".utf8), key: [UInt8](repeating: 0x0b, count: 20)))
                == "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")
        #expect(
            Hex.encode(HMAC.sha256(Array("what do ya want for nothing?".utf8), key: Array("Jefe".utf8)))
                == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        #expect(
            Hex.encode(
                HMAC.sha256(
                    Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
                    key: [UInt8](repeating: 0xaa, count: 131)))
                == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
    }
}

@Suite struct AEADTests {
    /// The GCM specification's test cases 13 and 16.
    @Test func knownAnswersHold() throws {
        let empty = try AEAD.seal(
            [], key: [UInt8](repeating: 0, count: 32), nonce: [UInt8](repeating: 0, count: 12), associated: [])
        #expect(Hex.encode(Array(empty[12...])) == "530f8afbc74536b9a963b4f1c4cb738b")

        let key = try #require(Hex.decode("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"))
        let nonce = try #require(Hex.decode("cafebabefacedbaddecaf888"))
        let plain = try #require(
            Hex.decode(
                "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
            ))
        let associated = try #require(Hex.decode("feedfacedeadbeeffeedfacedeadbeefabaddad2"))
        let sealed = try AEAD.seal(plain, key: key, nonce: nonce, associated: associated)
        #expect(
            Hex.encode(Array(sealed[12...]))
                == "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
                + "76fc6ece0f4e1768cddf8853bb2d551b")
    }

    @Test(arguments: [0, 1, 15, 16, 17, 100_000])
    func whatWasSealedOpensAgain(count: Int) throws {
        let key = Random.bytes(32)
        let plain = Random.bytes(count)
        let sealed = try AEAD.seal(plain, key: key, associated: [1, 2])
        #expect(sealed.count == count + AEAD.nonceBytes + AEAD.tagBytes)
        #expect(try AEAD.open(sealed, key: key, associated: [1, 2]) == plain)
    }

    @Test func anyChangedByteIsNoticed() throws {
        let key = Random.bytes(32)
        let sealed = try AEAD.seal([1, 2, 3], key: key, associated: [9])
        for index in sealed.indices {
            var changed = sealed
            changed[index] ^= 1
            #expect(throws: ApusError.self) { try AEAD.open(changed, key: key, associated: [9]) }
        }
        #expect(throws: ApusError.self) { try AEAD.open(sealed, key: key, associated: [8]) }
        #expect(throws: ApusError.self) { try AEAD.open(sealed, key: Random.bytes(32), associated: [9]) }
        for count in 0..<sealed.count {
            #expect(throws: ApusError.self) { try AEAD.open(Array(sealed[..<count]), key: key, associated: [9]) }
        }
    }

    @Test func aKeyOfAnotherLengthIsRefused() {
        for count in [0, 16, 31, 33] {
            #expect(throws: ApusError.self) { try AEAD.seal([1], key: [UInt8](repeating: 0, count: count)) }
        }
    }

    @Test func sealingTwiceGivesDifferentBytes() throws {
        let key = Random.bytes(32)
        #expect(try AEAD.seal([1], key: key) != AEAD.seal([1], key: key))
    }
}

@Suite struct SmallCryptoTests {
    @Test func hexadecimalGoesThereAndBack() {
        let all = (0...255).map { UInt8($0) }
        #expect(Hex.decode(Hex.encode(all)) == all)
        #expect(Hex.encode([0, 255, 16]) == "00ff10")
        #expect(Hex.decode("00FF10") == [0, 255, 16])
        #expect(Hex.decode("0") == nil)
        #expect(Hex.decode("0g") == nil)
        #expect(Hex.decode("") == [])
    }

    @Test func comparisonTellsEqualFromDifferent() {
        #expect(ConstantTime.areEqual([], []))
        #expect(ConstantTime.areEqual("token", "token"))
        #expect(!ConstantTime.areEqual("token", "tokem"))
        #expect(!ConstantTime.areEqual("token", "toke"))
    }

    @Test func randomBytesDiffer() {
        #expect(Random.bytes(0).isEmpty)
        #expect(Random.bytes(32).count == 32)
        #expect(Random.bytes(32) != Random.bytes(32))
        #expect(Random.token().utf8.count == 64)
    }
}

@Suite struct CertificateCheckTests {
    @Test func aCertificateFitsItsOwnKeyOnly() throws {
        let chain = Array(TestCertificate.chain.utf8)
        try CertificateCheck.run(chain: chain, key: Array(TestCertificate.key.utf8))
        for key in [TestCertificate.otherKey, "", "no key", TestCertificate.chain] {
            let error = #expect(throws: ApusError.self) { try CertificateCheck.run(chain: chain, key: Array(key.utf8)) }
            #expect(error?.code == .invalidArgument)
        }
        #expect(throws: ApusError.self) {
            try CertificateCheck.run(chain: Array("no certificate".utf8), key: Array(TestCertificate.key.utf8))
        }
    }
}

internal import ApusCrypto

/// What a record's key is found by in the index of a compacted topic: of one length, however long the key is.
enum KeyDigest {
    static let byteCount = 32

    static func of(_ key: UnsafeRawBufferPointer) -> [UInt8] { SHA256.hash(key) }
}

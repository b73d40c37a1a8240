internal import ApusCrypto

/// The content hash that names a bundle: SHA-256 of its archive, 64 lower-case hexadecimal digits.
public enum BundleHash {
    public static func of(_ archive: [UInt8]) -> String { Hex.encode(SHA256.hash(archive)) }

    /// Whether `text` has the form of a content hash, so that it can safely name a folder.
    public static func isWellFormed(_ text: String) -> Bool {
        text.utf8.count == 64
            && text.utf8.allSatisfy {
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
            }
    }
}

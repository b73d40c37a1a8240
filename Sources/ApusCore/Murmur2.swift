/// The hash that Java's Kafka client picks a key's partition with, so that a key has the same partition on every log.
public enum Murmur2 {
    /// - Complexity: O(n).
    public static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        let multiplier: UInt32 = 0x5BD1_E995
        var hash: UInt32 = 0x9747_B28C ^ UInt32(truncatingIfNeeded: bytes.count)
        let words = bytes.count / 4
        for index in 0..<words {
            var word = bytes.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self).littleEndian
            word = word &* multiplier
            word ^= word >> 24
            word = word &* multiplier
            hash = (hash &* multiplier) ^ word
        }
        let tail = words * 4
        let rest = bytes.count - tail
        if rest >= 3 { hash ^= UInt32(bytes[tail + 2]) << 16 }
        if rest >= 2 { hash ^= UInt32(bytes[tail + 1]) << 8 }
        if rest >= 1 {
            hash ^= UInt32(bytes[tail])
            hash = hash &* multiplier
        }
        hash ^= hash >> 13
        hash = hash &* multiplier
        hash ^= hash >> 15
        return hash
    }

    /// The partition of a key among `count` partitions.
    public static func partition(of key: UnsafeRawBufferPointer, among count: Int) -> Int {
        Int(self.hash(key) & 0x7FFF_FFFF) % count
    }
}

public import ApusCore
internal import ApusCrypto

/// A piece of a bundle's archive as a record of `apus.bundles`. Its key is the bundle's hash and the piece's number.
public struct BundleChunk: Sendable, Equatable {
    public var hash: String
    public var number: Int
    /// Pieces of the bundle, all together.
    public var count: Int
    public var bytes: [UInt8]

    /// How many pieces an archive has.
    public static func count(of archive: [UInt8]) -> Int {
        max(1, (archive.count + Limits.Bundle.chunkBytes - 1) / Limits.Bundle.chunkBytes)
    }

    /// A piece of an archive.
    public init(_ number: Int, of archive: [UInt8], hash: String) {
        let start = number * Limits.Bundle.chunkBytes
        self.hash = hash
        self.number = number
        self.count = Self.count(of: archive)
        self.bytes = Array(archive[start..<min(archive.count, start + Limits.Bundle.chunkBytes)])
    }

    /// Where all pieces of a bundle lie.
    public static func partition(of hash: String) -> Int {
        (Hex.decode(String(hash.prefix(2)))?.first).map { Int($0) % Limits.Bundle.partitions } ?? 0
    }

    public static func key(_ hash: String, _ number: Int) -> [UInt8] { Array("\(hash)/\(number)".utf8) }

    /// The record.
    public var event: Event {
        var event = Event(key: Self.key(self.hash, self.number), data: self.bytes)
        event["type"] = Self.type
        event["source"] = "apus"
        event["id"] = "\(self.hash)/\(self.number)"
        event[Self.countAttribute] = "\(self.count)"
        return event
    }

    /// What takes a piece off the log.
    public static func tombstone(_ hash: String, _ number: Int) -> Event {
        var event = Event(key: Self.key(hash, number), data: nil)
        event["type"] = Self.type
        event["source"] = "apus"
        event["id"] = "\(hash)/\(number)"
        return event
    }

    static let type = "dev.apus.bundle.chunk"
    static let countAttribute = "chunks"
}

/// What a record of `apus.bundles` says beside its bytes.
struct BundleChunkHead {
    var hash: String
    var number: Int
    /// Nil for a tombstone.
    var count: Int?
    var time: Timestamp

    /// - Returns: nil for a record that is none of ours.
    init?(_ block: UnsafeRawBufferPointer) {
        guard let layout = try? EventLayout(parsing: block.bytes), let key = layout.key else { return nil }
        let parts = String(decoding: block[key], as: UTF8.self).split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, BundleHash.isWellFormed(String(parts[0])), let number = Int(parts[1]),
            (0..<Self.countMax).contains(number)
        else { return nil }
        self.hash = String(parts[0])
        self.number = number
        self.time = layout.timestamp
        guard !layout.isNull else { return }
        guard let attributes = try? layout.decodeAttributes(in: block.bytes),
            let text = attributes.first(where: { $0.name == BundleChunk.countAttribute }),
            let count = Int(String(decoding: text.value, as: UTF8.self)), (number + 1...Self.countMax).contains(count)
        else { return nil }
        self.count = count
    }

    private static let countMax = (Limits.Bundle.archiveBytes + Limits.Bundle.chunkBytes - 1) / Limits.Bundle.chunkBytes
}

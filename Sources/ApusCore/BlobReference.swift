/// Where the data of an event lies that is too large for its record: in pieces on `apus.blobs`, by its content hash, beside the topic
/// of the event. The event carries CloudEvents' `dataref` and the size instead.
public struct BlobReference: Sendable, Hashable {
    /// SHA-256 of the data, 64 lower-case hexadecimal digits.
    public var hash: String
    public var size: Int

    public static let attribute = "dataref"
    public static let sizeAttribute = "datasize"
    static let scheme = "apus:blob/"

    public init(hash: String, size: Int) {
        self.hash = hash
        self.size = size
    }

    /// What a record refers to; nil for one whose data is in it, or lies where Apus does not keep it.
    ///
    /// Nearly every record has data, so that one look is enough.
    public init?(_ block: UnsafeRawBufferPointer) {
        guard EventBlock.hasNoData(block), let layout = try? EventLayout(parsing: block.bytes), !layout.isNull,
            let attributes = try? layout.decodeAttributes(in: block.bytes)
        else { return nil }
        self.init(attributes)
    }

    public init?(_ attributes: [Attribute]) {
        func text(_ name: String) -> String? {
            attributes.first { $0.name == name && $0.kind != .header }.map { String(decoding: $0.value, as: UTF8.self) }
        }
        guard let reference = text(Self.attribute), reference.hasPrefix(Self.scheme),
            let size = text(Self.sizeAttribute).flatMap({ Int($0) }), (1...Limits.Blob.bytes).contains(size)
        else { return nil }
        let hash = String(reference.dropFirst(Self.scheme.count))
        guard hash.utf8.count == 64, hash.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
        else { return nil }
        self.init(hash: hash, size: size)
    }

    // MARK: events

    /// The event without its data, which lies there.
    public func claiming(_ event: Event) -> Event {
        var claimed = event
        claimed.attributes.removeAll { Self.isOurs($0) }
        claimed.attributes.append(Attribute(Self.attribute, Self.scheme + self.hash, kind: .uriReference))
        claimed.attributes.append(Attribute(Self.sizeAttribute, "\(self.size)", kind: .integer))
        claimed.data = []
        return claimed
    }

    /// The event as it was, with its data.
    public static func whole(_ event: Event, _ data: [UInt8]) -> Event {
        var whole = event
        whole.attributes.removeAll { Self.isOurs($0) }
        whole.data = data
        return whole
    }

    private static func isOurs(_ attribute: Attribute) -> Bool {
        attribute.kind != .header && (attribute.name == Self.attribute || attribute.name == Self.sizeAttribute)
    }

    // MARK: pieces

    public var pieces: Int { (self.size + Limits.Blob.pieceBytes - 1) / Limits.Blob.pieceBytes }

    /// Where all pieces lie.
    public var partition: Int { (Int(self.hash.prefix(2), radix: 16) ?? 0) % Limits.Blob.partitions }

    /// The key of a piece. Data of one topic is not found from another.
    public func key(_ number: Int, topic: TopicName) -> [UInt8] { Array("\(topic)/\(self.hash)/\(number)".utf8) }

    /// The records of all pieces.
    public func appends(_ data: [UInt8], topic: TopicName) -> [LogBatch.Append] {
        (0..<self.pieces).map { number in
            let start = number * Limits.Blob.pieceBytes
            let key = self.key(number, topic: topic)
            var event = Event(key: key, data: Array(data[start..<min(data.count, start + Limits.Blob.pieceBytes)]))
            event["type"] = "dev.apus.blob.piece"
            event["source"] = "apus"
            event["id"] = String(decoding: key, as: UTF8.self)
            return LogBatch.Append(topic: .blobs, partition: self.partition, block: EventBlock.encode(event))
        }
    }
}

extension EventBlock {
    /// Whether a block announces no data at all.
    static func hasNoData(_ block: UnsafeRawBufferPointer) -> Bool {
        block.count >= Self.headBytes && block.bytes.littleEndian(at: 16, as: UInt32.self) == 0
    }
}

extension Limits {
    /// Bounds of data that is too large for a record.
    public enum Blob {
        /// Data of one event.
        public static let bytes = Limits.resultBytes
        /// A piece of it: an event with room for its key and attributes.
        public static let pieceBytes = Limits.eventBytes - 4_096
        /// Of `apus.blobs`; all pieces of one lie together.
        public static let partitions = 16
    }
}

/// What a log keeps beside the key of a batch that takes effect once: what it was made of, and what was answered.
public struct OnceReceipt: Sendable {
    public var fingerprint: [UInt8]
    public var receipt: LogReceipt

    public init(fingerprint: [UInt8], receipt: LogReceipt) {
        self.fingerprint = fingerprint
        self.receipt = receipt
    }

    private static let headBytes = 12
    private static let placeBytes = 12

    public func encode() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.headBytes + self.fingerprint.count + self.receipt.places.count * Self.placeBytes)
        bytes.appendLittleEndian(UInt32(self.fingerprint.count))
        bytes.appendLittleEndian(self.receipt.timestamp.microseconds)
        bytes += self.fingerprint
        for place in self.receipt.places {
            bytes.appendLittleEndian(UInt32(place.partition))
            bytes.appendLittleEndian(place.offset)
        }
        return bytes
    }

    /// - Returns: nil when these are no such bytes.
    public init?(decoding bytes: [UInt8]) {
        guard bytes.count >= Self.headBytes else { return nil }
        let span = bytes.span.bytes
        let start = Self.headBytes + Int(span.littleEndian(at: 0, as: UInt32.self))
        guard start <= bytes.count, (bytes.count - start).isMultiple(of: Self.placeBytes) else { return nil }
        self.fingerprint = Array(bytes[Self.headBytes..<start])
        var places: [LogReceipt.Place] = []
        for at in stride(from: start, to: bytes.count, by: Self.placeBytes) {
            places.append(
                LogReceipt.Place(
                    partition: Int(span.littleEndian(at: at, as: UInt32.self)),
                    offset: span.littleEndian(at: at + 4, as: Int64.self)))
        }
        let timestamp = Timestamp(microseconds: span.littleEndian(at: 4, as: Int64.self))
        self.receipt = LogReceipt(places: places, timestamp: timestamp, isRepeated: true)
    }

    /// What a batch is answered with whose key is known by this.
    public func answer(to once: LogBatch.Once) -> Result<LogReceipt, ApusError> {
        guard once.fingerprint == self.fingerprint else {
            return .failure(
                ApusError(
                    .conflict, "the idempotency key was used for another request: use a new one for each request"))
        }
        return .success(self.receipt)
    }
}

public import ApusCore
public import ApusEngine

/// The ledger's entries as bytes on the log.
///
/// Key: `namespace/function/trigger/generation/partition`, ASCII. Value, little-endian:
///
///     0   u8   format, 1          8   i64  watermark
///     16  u32  settled ranges     20  u32  pending deliveries
///     24       ranges: i64 first, i64 end; then pending: i64 offset, u64 attempts, i64 due in microseconds since 1970
public enum LedgerCodec {
    static let format: UInt8 = 1
    static let headBytes = 24

    /// The start of the keys of all partitions of a trigger.
    public static func prefix(function: ResourceName, trigger: String, generation: UInt64) -> [UInt8] {
        Array("\(function.namespace)/\(function.name)/\(trigger)/\(generation)/".utf8)
    }

    public static func key(prefix: [UInt8], partition: Int) -> [UInt8] {
        var key = prefix
        appendDecimal(partition, to: &key)
        return key
    }

    /// The partition that a key of this prefix names.
    public static func partition(of key: [UInt8], prefix: [UInt8]) -> Int? {
        guard key.starts(with: prefix) else { return nil }
        return key.withUnsafeBytes { decimal($0[prefix.count...]) }
    }

    public static func encode(_ state: LedgerState) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.headBytes + state.settled.count * 16 + state.pending.count * 24)
        bytes.append(Self.format)
        for _ in 0..<7 { bytes.append(0) }
        bytes.appendLittleEndian(state.watermark)
        bytes.appendLittleEndian(UInt32(state.settled.count))
        bytes.appendLittleEndian(UInt32(state.pending.count))
        for range in state.settled {
            bytes.appendLittleEndian(range.lowerBound)
            bytes.appendLittleEndian(range.upperBound)
        }
        for pending in state.pending {
            bytes.appendLittleEndian(pending.offset)
            bytes.appendLittleEndian(UInt64(pending.attempts))
            bytes.appendLittleEndian(pending.nextDue.microseconds)
        }
        return bytes
    }

    /// - Throws: `log_damaged` when the bytes are no ledger entry, `log_format` when a newer server wrote them.
    public static func decode(_ bytes: [UInt8]) throws(ApusError) -> LedgerState {
        let span = bytes.span.bytes
        guard let format = bytes.first, span.byteCount >= Self.headBytes else { throw Self.damaged() }
        guard format == Self.format else {
            throw ApusError(.logFormat, "the ledger's entry has format \(format), this server reads \(Self.format): use a newer apus")
        }
        let settledCount = Int(span.littleEndian(at: 16, as: UInt32.self))
        let pendingCount = Int(span.littleEndian(at: 20, as: UInt32.self))
        guard span.byteCount == Self.headBytes + settledCount * 16 + pendingCount * 24 else { throw Self.damaged() }
        var state = LedgerState(watermark: span.littleEndian(at: 8, as: Int64.self))
        var at = Self.headBytes
        var floor = state.watermark
        for _ in 0..<settledCount {
            let first = span.littleEndian(at: at, as: Int64.self)
            let end = span.littleEndian(at: at + 8, as: Int64.self)
            guard first >= floor, first < end else { throw Self.damaged() }
            state.settled.append(first..<end)
            floor = end
            at += 16
        }
        for _ in 0..<pendingCount {
            let offset = span.littleEndian(at: at, as: Int64.self)
            guard offset >= state.watermark, offset > state.pending.last?.offset ?? -1,
                let attempts = Int(exactly: span.littleEndian(at: at + 8, as: UInt64.self))
            else { throw Self.damaged() }
            let due = Timestamp(microseconds: span.littleEndian(at: at + 16, as: Int64.self))
            state.pending.append(LedgerState.Pending(offset: offset, attempts: attempts, nextDue: due))
            at += 24
        }
        return state
    }

    private static func damaged() -> ApusError {
        ApusError(.logDamaged, "an entry of the delivery ledger cannot be read: restore the data directory from a backup")
    }
}

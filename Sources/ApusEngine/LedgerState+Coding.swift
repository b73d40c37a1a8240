internal import ApusCore

/// Why bytes are no ledger state.
public enum LedgerStateError: Error, Sendable, Equatable {
    /// A version this release does not read.
    case version(UInt8)
    case truncated
    /// Lengths, orders or bounds contradict each other, or bytes are left over.
    case malformed
}

// The form on disk: a version byte, then variable-length integers, seven bits a byte, the lowest first.
//
//     watermark
//     settled: how many; each: its distance from the end of the one before (the first: from the watermark), its length
//     pending: how many; each: its distance from the one before (the first: from the watermark), attempts, next due
//
// The next due time is a moment, zigzag-coded, since it may be any integer.

extension LedgerState {
    static let formatVersion: UInt8 = 1

    /// The bytes of the state, to be stored under its trigger and partition.
    public func encode() -> [UInt8] {
        var bytes: [UInt8] = [Self.formatVersion]
        bytes.reserveCapacity(16 + self.settled.count * 4 + self.pending.count * 12)
        bytes.appendVariable(UInt64(bitPattern: self.watermark))
        bytes.appendVariable(UInt64(self.settled.count))
        var before = self.watermark
        for range in self.settled {
            bytes.appendVariable(UInt64(bitPattern: range.lowerBound &- before))
            bytes.appendVariable(UInt64(bitPattern: range.upperBound &- range.lowerBound))
            before = range.upperBound
        }
        bytes.appendVariable(UInt64(self.pending.count))
        before = self.watermark
        for pending in self.pending {
            bytes.appendVariable(UInt64(bitPattern: pending.offset &- before))
            bytes.appendVariable(UInt64(pending.attempts))
            let due = pending.nextDue.microseconds
            bytes.appendVariable(UInt64(bitPattern: (due << 1) ^ (due >> 63)))
            before = pending.offset
        }
        return bytes
    }

    /// Reads what ``encode()`` wrote. Other bytes are an error, never a trap, and never a state that breaks the rules
    /// of this type.
    public init(decoding bytes: [UInt8]) throws(LedgerStateError) {
        var reader = VariableReader(bytes)
        let version = try reader.byte()
        guard version == Self.formatVersion else { throw .version(version) }
        let watermark = try reader.offset(after: 0, isFirst: true)
        var state = LedgerState(watermark: watermark)
        var before = watermark
        for _ in 0..<(try reader.count()) {
            let start = try reader.offset(after: before, isFirst: false)
            let end = try reader.offset(after: start, isFirst: false)
            state.settled.append(start..<end)
            before = end
        }
        before = watermark
        for index in 0..<(try reader.count()) {
            let offset = try reader.offset(after: before, isFirst: index == 0)
            let attempts = try reader.next()
            let due = try reader.next()
            guard (1...UInt64(Int32.max)).contains(attempts) else { throw .malformed }
            let moment = Int64(bitPattern: due >> 1) ^ -Int64(bitPattern: due & 1)
            state.pending.append(
                Pending(offset: offset, attempts: Int(attempts), nextDue: Timestamp(microseconds: moment)))
            before = offset
        }
        guard reader.isAtEnd else { throw .malformed }
        self = state
    }
}

extension [UInt8] {
    fileprivate mutating func appendVariable(_ value: UInt64) {
        var value = value
        while value >= 0x80 {
            self.append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        self.append(UInt8(truncatingIfNeeded: value))
    }
}

private struct VariableReader {
    private let bytes: [UInt8]
    private var at = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { self.at == self.bytes.count }

    mutating func byte() throws(LedgerStateError) -> UInt8 {
        guard self.at < self.bytes.count else { throw .truncated }
        self.at += 1
        return self.bytes[self.at - 1]
    }

    mutating func next() throws(LedgerStateError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            let byte = try self.byte()
            guard shift < 63 || byte <= 1 else { throw .malformed }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 {
                // One form for each number: no zero bytes at its end.
                guard byte != 0 || shift == 0 else { throw .malformed }
                return value
            }
        }
        throw .malformed
    }

    /// How many members follow. Each takes two bytes at least, so a count that the rest cannot hold is refused before
    /// any is made.
    mutating func count() throws(LedgerStateError) -> Int {
        let count = try self.next()
        guard count <= UInt64(self.bytes.count - self.at) / 2 else { throw .truncated }
        return Int(count)
    }

    /// An offset by its distance from one before; only the first of a row may be at distance zero.
    mutating func offset(after before: Int64, isFirst: Bool) throws(LedgerStateError) -> Int64 {
        let distance = try self.next()
        guard distance <= UInt64(Int64.max), isFirst || distance > 0 else { throw .malformed }
        let (sum, isOver) = before.addingReportingOverflow(Int64(distance))
        guard !isOver else { throw .malformed }
        return sum
    }
}

/// Reads a time zone file as RFC 8536 describes it, versions 1 to 4.
enum TimeZoneFile {
    enum Failure: Error, Sendable, Equatable {
        case truncated
        case noMagic
        case badCounts
        case badIndex
        case badOrder
        case badRule(String)
        /// Its moments count leap seconds, which no clock of this machine does.
        case leapSeconds
    }

    private struct Header {
        static let bytes = 44
        var version: UInt8
        var isUTCount: Int
        var isStandardCount: Int
        var leapCount: Int
        var timeCount: Int
        var typeCount: Int
        var characterCount: Int

        func bodyBytes(timeBytes: Int) -> Int {
            self.timeCount * (timeBytes + 1) + self.typeCount * 6 + self.characterCount
                + self.leapCount * (timeBytes + 4) + self.isStandardCount + self.isUTCount
        }
    }

    static func parse(_ bytes: [UInt8]) throws(Failure) -> TimeZoneRules {
        let first = try self.header(bytes, at: 0)
        guard first.version >= UInt8(ascii: "2") else {
            return try self.rules(bytes, at: Header.bytes, first, timeBytes: 4, rule: nil)
        }
        // The first body is for old readers.
        let start = Header.bytes + first.bodyBytes(timeBytes: 4)
        let header = try self.header(bytes, at: start)
        let body = start + Header.bytes
        let end = body + header.bodyBytes(timeBytes: 8)
        return try self.rules(bytes, at: body, header, timeBytes: 8, rule: try self.footer(bytes, at: end))
    }

    private static func header(_ bytes: [UInt8], at start: Int) throws(Failure) -> Header {
        guard bytes.count - start >= Header.bytes else { throw .truncated }
        guard bytes[start..<start + 4].elementsEqual("TZif".utf8) else { throw .noMagic }
        func count(_ index: Int) -> Int { Int(self.number(bytes, at: start + 20 + index * 4, count: 4) & 0xFFFF_FFFF) }
        let header = Header(
            version: bytes[start + 4], isUTCount: count(0), isStandardCount: count(1), leapCount: count(2),
            timeCount: count(3), typeCount: count(4), characterCount: count(5))
        // The file is bounded, so that sums of these cannot overflow once each is.
        guard header.typeCount >= 1, header.typeCount <= 256,
            [header.isUTCount, header.isStandardCount, header.leapCount, header.timeCount, header.characterCount]
                .allSatisfy({ $0 <= bytes.count })
        else { throw .badCounts }
        return header
    }

    private static func rules(
        _ bytes: [UInt8], at start: Int, _ header: Header, timeBytes: Int, rule: PosixZone?
    ) throws(Failure) -> TimeZoneRules {
        guard bytes.count - start >= header.bodyBytes(timeBytes: timeBytes) else { throw .truncated }
        guard header.leapCount == 0 else { throw .leapSeconds }
        let indices = start + header.timeCount * timeBytes
        let types = indices + header.timeCount
        func offset(_ type: Int) -> Int64 { self.number(bytes, at: types + type * 6, count: 4) }
        var changes: [TimeZoneRules.Change] = []
        for index in 0..<header.timeCount {
            let at = self.number(bytes, at: start + index * timeBytes, count: timeBytes)
            let type = Int(bytes[indices + index])
            guard type < header.typeCount else { throw .badIndex }
            if let last = changes.last, last.at >= at { throw .badOrder }
            changes.append(TimeZoneRules.Change(at: at, offset: offset(type)))
        }
        guard (changes.map(\.offset) + [offset(0)]).allSatisfy({ abs($0) <= 26 * 3_600 }) else { throw .badCounts }
        return TimeZoneRules(first: offset(0), changes: changes, rule: rule)
    }

    private static func footer(_ bytes: [UInt8], at start: Int) throws(Failure) -> PosixZone? {
        guard start < bytes.count, bytes[start] == 0x0A else { throw .truncated }
        let text = bytes[(start + 1)...].prefix { $0 != 0x0A }
        guard start + 1 + text.count < bytes.count else { throw .truncated }
        guard !text.isEmpty else { return nil }
        let rule = String(decoding: text, as: UTF8.self)
        guard let zone = PosixZone(rule) else { throw .badRule(rule) }
        return zone
    }

    /// A big-endian number with a sign. The caller has checked that it is there.
    private static func number(_ bytes: [UInt8], at start: Int, count: Int) -> Int64 {
        let value = bytes[start..<start + count].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return count == 4 ? Int64(Int32(truncatingIfNeeded: value)) : Int64(bitPattern: value)
    }
}

internal import ApusCore

/// Reads what commands and answers are written as, field by field; nothing beyond the end is ever read.
struct CommandReader {
    private let bytes: [UInt8]
    private var at = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    private mutating func take(_ count: Int) throws(CommandRecordError) -> Range<Int> {
        guard count >= 0, count <= self.bytes.count - self.at else { throw .badLength }
        defer { self.at += count }
        return self.at..<self.at + count
    }

    mutating func integer<Integer: FixedWidthInteger & BitwiseCopyable>(_ type: Integer.Type)
        throws(CommandRecordError) -> Integer
    {
        let range = try self.take(MemoryLayout<Integer>.size)
        return self.bytes.span.bytes.littleEndian(at: range.lowerBound, as: type)
    }

    mutating func block(max: Int) throws(CommandRecordError) -> [UInt8] {
        let count = Int(try self.integer(UInt32.self))
        guard count <= max else { throw .badLength }
        return Array(self.bytes[try self.take(count)])
    }

    mutating func text(max: Int) throws(CommandRecordError) -> String {
        let count = Int(try self.integer(UInt16.self))
        guard count <= max else { throw .badLength }
        guard let text = String(validating: self.bytes[try self.take(count)], as: UTF8.self) else { throw .badText }
        return text
    }

    mutating func id() throws(CommandRecordError) -> CommandID {
        CommandID(high: try self.integer(UInt64.self), low: try self.integer(UInt64.self))
    }

    func end() throws(CommandRecordError) {
        guard self.at == self.bytes.count else { throw .badLength }
    }
}

extension [UInt8] {
    mutating func append(block: [UInt8]) {
        self.appendLittleEndian(UInt32(block.count))
        self.append(contentsOf: block)
    }

    /// As much of the text as the bound allows, in whole characters.
    mutating func append(text: String, max: Int) {
        var bytes = Array(text.utf8)
        if bytes.count > max {
            var count = max
            while count > 0, bytes[count] & 0xC0 == 0x80 { count -= 1 }
            bytes.removeSubrange(count...)
        }
        self.appendLittleEndian(UInt16(bytes.count))
        self.append(contentsOf: bytes)
    }

    mutating func append(id: CommandID) {
        self.appendLittleEndian(id.high)
        self.appendLittleEndian(id.low)
    }
}

// Everything on the wire and on disk is little-endian. Reads check their bounds, also in release builds: the bytes are not ours.

extension RawSpan {
    /// The integer at `offset`, which must lie inside the span.
    @inlinable
    public func littleEndian<Integer: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as type: Integer.Type)
        -> Integer
    {
        // `unsafeLoadUnaligned` checks the bounds; unsafe is only the type, and any bytes are a valid integer.
        Integer(littleEndian: self.unsafeLoadUnaligned(fromByteOffset: offset, as: type))
    }
}

extension [UInt8] {
    @inlinable
    public mutating func appendLittleEndian<Integer: FixedWidthInteger>(_ value: Integer) {
        var value = value.littleEndian
        Swift.withUnsafeBytes(of: &value) { self.append(contentsOf: $0) }
    }
}

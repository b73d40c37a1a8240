/// Comparing the bytes of a head with names and values as RFC 9110 does: without regard to the case of ASCII letters.
///
/// What is compared with is in lower case.
extension UnsafeRawBufferPointer {
    public func equals(ignoringCase lower: StaticString) -> Bool {
        self.count == lower.utf8CodeUnitCount && self.hasPrefix(ignoringCase: lower)
    }

    public func hasPrefix(ignoringCase lower: StaticString) -> Bool {
        guard self.count >= lower.utf8CodeUnitCount else { return false }
        for index in 0..<lower.utf8CodeUnitCount where !Self.matches(self[index], lower.utf8Start[index]) {
            return false
        }
        return true
    }

    public func contains(ignoringCase lower: StaticString) -> Bool {
        let length = lower.utf8CodeUnitCount
        guard self.count >= length else { return false }
        return (0...self.count - length).contains { start in
            UnsafeRawBufferPointer(rebasing: self[start..<start + length]).hasPrefix(ignoringCase: lower)
        }
    }

    private static func matches(_ byte: UInt8, _ lower: UInt8) -> Bool {
        (byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte) == lower
    }
}

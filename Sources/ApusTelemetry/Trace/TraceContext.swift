internal import ApusCore

/// Names one trace: 128 bits, never all zero.
public struct TraceID: Sendable, Hashable, CustomStringConvertible {
    public let high: UInt64
    public let low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    public static func random() -> TraceID {
        var generator = SystemRandomNumberGenerator()
        return TraceID(high: generator.next(), low: generator.next() | 1)
    }

    public var description: String { hexadecimal(self.high) + hexadecimal(self.low) }
}

/// Names one span of a trace; never zero.
public struct SpanID: Sendable, Hashable, CustomStringConvertible {
    public let rawValue: UInt64

    /// Zero, which names no span, becomes one.
    public init(rawValue: UInt64) { self.rawValue = rawValue == 0 ? 1 : rawValue }

    public static func random() -> SpanID {
        var generator = SystemRandomNumberGenerator()
        return SpanID(rawValue: generator.next())
    }

    public var description: String { hexadecimal(self.rawValue) }
}

/// Where in which trace something happens, as W3C Trace Context says it: `00-<trace>-<span>-<flags>`.
public struct TraceContext: Sendable, Hashable, CustomStringConvertible {
    public static let header = "traceparent"
    public static let stateHeader = "tracestate"
    /// The length of the text of version 00.
    public static let byteCount = 55

    public var trace: TraceID
    public var span: SpanID
    /// Whoever began the trace wants it recorded.
    public var isSampled: Bool

    public init(trace: TraceID, span: SpanID, isSampled: Bool) {
        self.trace = trace
        self.span = span
        self.isSampled = isSampled
    }

    /// - Returns: nil for text that the specification says to ignore: capitals, zeros, other lengths, version `ff`. A later
    ///   version is read as far as this one goes.
    public init?(_ text: some Collection<UInt8>) {
        let bytes = Array(text.prefix(Self.byteCount + 1))
        guard bytes.count >= Self.byteCount, bytes[2] == Self.hyphen, bytes[35] == Self.hyphen,
            bytes[52] == Self.hyphen,
            let version = Self.number(bytes[0..<2]), version != 0xFF,
            let high = Self.number(bytes[3..<19]), let low = Self.number(bytes[19..<35]), high | low != 0,
            let span = Self.number(bytes[36..<52]), span != 0, let flags = Self.number(bytes[53..<55])
        else { return nil }
        guard bytes.count == Self.byteCount || (version > 0 && bytes[55] == Self.hyphen) else { return nil }
        self.init(trace: TraceID(high: high, low: low), span: SpanID(rawValue: span), isSampled: flags & 1 == 1)
    }

    public init?(_ text: String) { self.init(text.utf8) }

    public var description: String { "00-\(self.trace)-\(self.span)-\(self.isSampled ? "01" : "00")" }
    public var bytes: [UInt8] { Array(self.description.utf8) }

    private static let hyphen = UInt8(ascii: "-")

    private static func number(_ digits: ArraySlice<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        for digit in digits {
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt64(digit - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt64(digit - UInt8(ascii: "a") + 10)
            default: return nil
            }
        }
        return value
    }
}

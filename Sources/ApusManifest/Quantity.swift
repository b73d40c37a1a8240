public import ApusCore

extension TimeSpan {
    /// A whole number and a unit, as manifests write it: `500ms`, `30s`. Nil for anything else.
    public init?(_ text: String) {
        guard let span = Quantity.span(text) else { return nil }
        self = span
    }
}

/// The texts of manifests that stand for amounts: `30s`, `512Mi`, `500m`.
public enum Quantity {
    private static let spanUnits: [(suffix: String, size: Int64)] = [
        ("us", 1), ("ms", 1_000), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000), ("d", 86_400_000_000),
    ]
    private static let byteUnits: [(suffix: String, size: Int64)] = [
        ("", 1), ("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000), ("T", 1_000_000_000_000), ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30), ("Ti", 1 << 40),
    ]

    static let spanPattern = "^[0-9]+(us|ms|s|m|h|d)$"
    static let bytesPattern = "^[0-9]+(k|M|G|T|Ki|Mi|Gi|Ti)?$"
    static let cpuPattern = "^([0-9]+m|[0-9]+(\\.[0-9]{1,3})?)$"

    /// A whole number and a unit; nil for anything else.
    public static func span(_ text: String) -> TimeSpan? {
        self.amount(text, self.spanUnits).map { TimeSpan(microseconds: $0) }
    }

    /// A whole number of bytes with or without a unit; nil for anything else.
    public static func bytes(_ text: String) -> Int64? { self.amount(text, self.byteUnits) }

    /// Thousandths of a CPU: of `1`, `0.5` or `500m`; nil for anything else.
    static func cpuMillis(_ text: String) -> Int64? {
        if text.hasSuffix("m") { return self.digits(text.dropLast()) }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard let whole = self.digits(parts[0]), whole <= 1_000_000 else { return nil }
        guard parts.count == 2 else { return parts.count == 1 ? whole * 1_000 : nil }
        guard parts[1].utf8.count <= 3, let fraction = self.digits(parts[1]) else { return nil }
        let scale: Int64 = [1, 100, 10, 1][parts[1].utf8.count]
        return whole * 1_000 + fraction * scale
    }

    /// The largest binary unit that keeps the number whole.
    static func text(bytes: Int64) -> String {
        for (suffix, size) in self.byteUnits.reversed() where suffix.hasSuffix("i") && bytes != 0 && bytes % size == 0 {
            return "\(bytes / size)\(suffix)"
        }
        return "\(bytes)"
    }

    static func text(cpuMillis: Int64) -> String {
        cpuMillis % 1_000 == 0 ? "\(cpuMillis / 1_000)" : "\(cpuMillis)m"
    }

    private static func amount(_ text: String, _ units: [(suffix: String, size: Int64)]) -> Int64? {
        let number = text.prefix { $0.isASCII && $0.isNumber }
        guard let unit = units.first(where: { $0.suffix == text[number.endIndex...] }), let count = self.digits(number)
        else { return nil }
        let (amount, isOver) = count.multipliedReportingOverflow(by: unit.size)
        return isOver ? nil : amount
    }

    private static func digits(_ text: some StringProtocol) -> Int64? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
            return nil
        }
        return Int64(text)
    }
}

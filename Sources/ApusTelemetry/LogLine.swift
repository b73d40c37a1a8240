internal import ApusCore

/// How much a line matters.
public enum LogLevel: Int, Sendable, Comparable, CaseIterable {
    case debug, info, warning, error

    public var name: String {
        switch self {
        case .debug: "debug"
        case .info: "info"
        case .warning: "warning"
        case .error: "error"
        }
    }

    /// - Returns: nil for what is no level's name.
    public init?(_ name: String) {
        guard let level = LogLevel.allCases.first(where: { $0.name == name }) else { return nil }
        self = level
    }

    public static func < (left: LogLevel, right: LogLevel) -> Bool { left.rawValue < right.rawValue }
}

/// How lines are written.
public enum LogFormat: String, Sendable {
    /// For machines: one JSON object a line.
    case json
    /// For people: time, level, message, `name=value`.
    case text
}

/// Makes one line. Whatever is in message and fields, it is one line without control characters, of bounded length.
enum LogLine {
    static func make(
        _ format: LogFormat, microseconds: Int64, _ level: LogLevel, _ message: String, _ fields: [(String, String)],
        dropped: Int
    ) -> [UInt8] {
        let all = dropped > 0 ? fields + [("dropped", "\(dropped)")] : fields
        var line: [UInt8] = []
        switch format {
        case .json: Self.json(microseconds, level, message, all, to: &line)
        case .text: Self.text(microseconds, level, message, all, to: &line)
        }
        line.append(0x0A)
        return line
    }

    /// Fields that would make the line too long are left out, and `truncated` says so: what is written stays valid JSON.
    private static func json(
        _ microseconds: Int64, _ level: LogLevel, _ message: String, _ fields: [(String, String)],
        to line: inout [UInt8]
    ) {
        line.append(contentsOf: #"{"time":"\#(Self.time(microseconds))","level":"\#(level.name)","message":"#.utf8)
        // Escaped, a byte takes at most six: half of the line at worst.
        let kept = Self.prefix(Self.withoutC1(message), bytes: Limits.Telemetry.logLineBytes / 12)
        JSONText.append(kept, to: &line)
        var isTruncated = kept.utf8.count < message.utf8.count
        for (name, value) in fields {
            var field: [UInt8] = [UInt8(ascii: ",")]
            JSONText.append(name, to: &field)
            field.append(UInt8(ascii: ":"))
            JSONText.append(Self.withoutC1(value), to: &field)
            if line.count + field.count + 32 <= Limits.Telemetry.logLineBytes {
                line += field
            } else {
                isTruncated = true
            }
        }
        line.append(contentsOf: (isTruncated ? #","truncated":true}"# : "}").utf8)
    }

    private static func text(
        _ microseconds: Int64, _ level: LogLevel, _ message: String, _ fields: [(String, String)],
        to line: inout [UInt8]
    ) {
        let word = level.name.uppercased()
        line.append(
            contentsOf: "\(Self.time(microseconds)) \(word)\(String(repeating: " ", count: 7 - word.utf8.count)) ".utf8)
        Self.appendPlain(message, to: &line)
        for (name, value) in fields {
            line.append(UInt8(ascii: " "))
            Self.appendPlain(name, to: &line)
            line.append(UInt8(ascii: "="))
            let isPlain =
                !value.isEmpty
                && value.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && $0 != 0x22 && $0 != 0x5C && $0 != 0x3D }
            if isPlain { Self.appendPlain(value, to: &line) } else { JSONText.append(Self.withoutC1(value), to: &line) }
        }
        guard line.count > Limits.Telemetry.logLineBytes - 8 else { return }
        // Not in the middle of a character.
        var end = Limits.Telemetry.logLineBytes - 8
        while end > 0, line[end] & 0xC0 == 0x80 { end -= 1 }
        line.removeSubrange(end...)
        line.append(contentsOf: " ...".utf8)
    }

    /// Control characters as `\xNN`: a terminal must not obey what a function or a client wrote.
    private static func appendPlain(_ text: String, to line: inout [UInt8]) {
        for scalar in text.unicodeScalars {
            if scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) {
                line.append(contentsOf: "\\x\(scalar.value < 16 ? "0" : "")\(String(scalar.value, radix: 16))".utf8)
            } else {
                line.append(contentsOf: String(scalar).utf8)
            }
        }
    }

    /// The second set of control characters is plain text to JSON, but not to terminals.
    private static func withoutC1(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { (0x80...0x9F).contains($0.value) }) else { return text }
        return String(
            String.UnicodeScalarView(text.unicodeScalars.map { (0x80...0x9F).contains($0.value) ? "\u{FFFD}" : $0 }))
    }

    private static func prefix(_ text: String, bytes: Int) -> String {
        guard text.utf8.count > bytes else { return text }
        var kept = Array(text.utf8.prefix(bytes + 1))
        while let last = kept.popLast(), last & 0xC0 == 0x80 {}
        return String(decoding: kept, as: UTF8.self)
    }

    /// RFC 3339 in UTC, with milliseconds.
    static func time(_ microseconds: Int64) -> String {
        let seconds = Self.floor(microseconds, 1_000_000)
        let days = Self.floor(seconds, 86_400)
        let (year, month, day) = Self.date(days: days)
        let rest = seconds - days * 86_400
        let milliseconds = (microseconds - seconds * 1_000_000) / 1_000
        return "\(Self.padded(year, 4))-\(Self.padded(month, 2))-\(Self.padded(day, 2))T"
            + "\(Self.padded(rest / 3_600, 2)):\(Self.padded(rest / 60 % 60, 2)):\(Self.padded(rest % 60, 2)).\(Self.padded(milliseconds, 3))Z"
    }

    /// Of the proleptic Gregorian calendar, counted in eras of 400 years that begin on the first of March.
    private static func date(days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let era = Self.floor(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }

    private static func floor(_ number: Int64, _ divisor: Int64) -> Int64 {
        number >= 0 ? number / divisor : -((-number + divisor - 1) / divisor)
    }

    private static func padded(_ number: Int64, _ width: Int) -> String {
        let digits = String(number)
        return digits.utf8.count >= width ? digits : String(repeating: "0", count: width - digits.utf8.count) + digits
    }
}

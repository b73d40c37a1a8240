internal import ApusCore

/// The header `tracestate`: what other tracing systems want passed on with a trace. It is checked and carried, never
/// changed.
public enum TraceState {
    /// - Returns: nil for what the specification says to drop: a malformed member, a key twice, too many of them, or
    ///   more than ``Limits/Telemetry/traceStateBytes``.
    public static func checked(_ text: String) -> String? {
        guard !text.isEmpty, text.utf8.count <= Limits.Telemetry.traceStateBytes else { return nil }
        var keys: Set<Substring> = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let member = Self.trimmed(part)
            // Empty members are allowed, and mean nothing.
            if member.isEmpty { continue }
            guard let equals = member.firstIndex(of: "=") else { return nil }
            let (key, value) = (member[..<equals], member[member.index(after: equals)...])
            guard Self.isKey(key), Self.isValue(value), keys.insert(key).inserted,
                keys.count <= Limits.Telemetry.traceStateMembers
            else { return nil }
        }
        return keys.isEmpty ? nil : text
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text.drop { $0 == " " || $0 == "\t" }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return text
    }

    private static func isKey(_ key: Substring) -> Bool {
        let parts = key.split(separator: "@", omittingEmptySubsequences: false)
        switch parts.count {
        case 1: return Self.isName(parts[0], bytes: 256, startsWithDigit: false)
        case 2:
            return Self.isName(parts[0], bytes: 241, startsWithDigit: true)
                && Self.isName(parts[1], bytes: 14, startsWithDigit: false)
        default: return false
        }
    }

    private static func isName(_ name: Substring, bytes: Int, startsWithDigit: Bool) -> Bool {
        guard let first = name.utf8.first, name.utf8.count <= bytes else { return false }
        let isDigit = (0x30...0x39).contains(first)
        guard (0x61...0x7A).contains(first) || (startsWithDigit && isDigit) else { return false }
        return name.utf8.allSatisfy {
            (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || "_-*/".utf8.contains($0)
        }
    }

    private static func isValue(_ value: Substring) -> Bool {
        guard (1...256).contains(value.utf8.count), value.last != " " else { return false }
        return value.utf8.allSatisfy { (0x20...0x7E).contains($0) && $0 != 0x2C && $0 != 0x3D }
    }
}

/// Text of somebody else, for a terminal: what would move its cursor, change its colours or its title is shown as a picture instead.
enum SafeText {
    /// Line breaks and tabs stay.
    static func of(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: Self.isControl) else { return text }
        var safe = String.UnicodeScalarView()
        var rest = text.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            switch scalar.value {
            case 0x0D where rest.first == "\n": continue
            case _ where !Self.isControl(scalar): safe.append(scalar)
            case 0...0x1F: safe.append(Unicode.Scalar(0x2400 + scalar.value) ?? "?")
            case 0x7F: safe.append("\u{2421}")
            default: safe.append("\u{FFFD}")
            }
        }
        return String(safe)
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09, 0x0A: false
        case 0...0x1F, 0x7F...0x9F: true
        // What writes text backwards can make a line look like another.
        case 0x202A...0x202E, 0x2066...0x2069: true
        default: false
        }
    }
}

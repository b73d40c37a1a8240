/// Characters that people do not see, and terminals or models do.
enum HiddenCharacters {
    static func first(in text: String) -> Unicode.Scalar? {
        var previous: Unicode.Scalar?
        for scalar in text.unicodeScalars {
            if self.isHidden(scalar, after: previous) { return scalar }
            previous = scalar
        }
        return nil
    }

    /// Escape sequences, written as such or spelled out, and other controls than line ends and tabs.
    static func hasTerminalControl(_ text: String) -> Bool {
        let isThere = text.unicodeScalars.contains { scalar in
            switch scalar.value {
            case 0x09, 0x0A, 0x0D: false
            case 0..<0x20, 0x7F...0x9F: true
            default: false
            }
        }
        if isThere { return true }
        let lower = text.lowercased()
        return ["\\u001b[", "\\x1b[", "\\033[", "\\e[", "\\u009b"].contains { lower.contains($0) }
    }

    private static func isHidden(_ scalar: Unicode.Scalar, after previous: Unicode.Scalar?) -> Bool {
        switch scalar.value {
        case 0x200C, 0x200D:
            // Joiners belong to emoji and to the scripts that need them, behind a character of theirs.
            return (previous?.value ?? 0) < 0x0300
        case 0x00AD, 0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180E, 0x3164, 0xFEFF, 0xFFA0: return true
        case 0x200B, 0x200E, 0x200F, 0x202A...0x202E, 0x2060...0x206F: return true
        case 0xE000...0xF8FF, 0xFFF0...0xFFFB, 0xE0000...0xE0FFF, 0xF0000...0x10FFFF: return true
        case 0xFE00...0xFE0F:
            // Selectors of a form follow the character whose form they select, one each.
            guard let previous else { return true }
            return previous.value < 0x80 && !("0"..."9").contains(previous) && previous != "#" && previous != "*"
                || (0xFE00...0xFE0F).contains(previous.value)
        default: return false
        }
    }
}

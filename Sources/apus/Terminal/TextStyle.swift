/// How a piece of text stands out. Colours are of the terminal's own palette, so that they fit its background.
enum TextStyle: String, Sendable {
    case plain = ""
    case strong = "1"
    case dim = "2"
    case chosen = "7"
    case bad = "31"
    case good = "32"
    case warning = "33"
    case name = "34"
    case accent = "36"
}

/// Writes styles where somebody sees them, and nothing of them into files and pipes.
struct Paint: Sendable {
    let isColoured: Bool

    func callAsFunction(_ text: String, _ style: TextStyle) -> String {
        guard self.isColoured, style != .plain, !text.isEmpty else { return text }
        return "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m"
    }
}

import ApusCore

/// What a page of documentation tells its reader to do: commands with what they print, and files.
///
/// Blocks marked `console` hold lines that begin with `$ `, each followed by what it prints; blocks marked `LANGUAGE file=NAME`
/// hold a file. In what is printed `…` stands for anything, on a line of its own for any number of lines.
struct DocumentScript {
    enum Step {
        case command(line: Int, text: String, expected: [String])
        case file(name: String, text: String)
    }

    private(set) var steps: [Step] = []

    init(_ page: String) {
        var fence: (info: String, line: Int, lines: [String])?
        for (number, line) in page.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
            .enumerated()
        {
            if let open = fence {
                if line == "```" {
                    self.add(open.info, open.line, open.lines)
                    fence = nil
                } else {
                    fence?.lines.append(line)
                }
            } else if line.hasPrefix("```") {
                fence = (String(line.dropFirst(3)), number + 2, [])
            }
        }
    }

    private mutating func add(_ info: String, _ first: Int, _ lines: [String]) {
        let words = info.split(separator: " ").map(String.init)
        if let file = words.first(where: { $0.hasPrefix("file=") }) {
            self.steps.append(.file(name: String(file.dropFirst(5)), text: lines.joined(separator: "\n") + "\n"))
        }
        guard words.first == "console" else { return }
        var open: (line: Int, text: String, expected: [String])?
        for (number, line) in lines.enumerated() {
            if line.hasPrefix("$ ") {
                if let open { self.steps.append(.command(line: open.line, text: open.text, expected: open.expected)) }
                open = (first + number, String(line.dropFirst(2)), [])
            } else {
                open?.expected.append(line)
            }
        }
        if let open { self.steps.append(.command(line: open.line, text: open.text, expected: open.expected)) }
    }

    /// Whether lines are what a page says.
    static func matches(_ lines: ArraySlice<String>, _ expected: ArraySlice<String>) -> Bool {
        guard let first = expected.first else { return lines.isEmpty }
        if first == "…" {
            return (lines.startIndex...lines.endIndex).contains { Self.matches(lines[$0...], expected.dropFirst()) }
        }
        guard let line = lines.first, Self.isLike(line, first) else { return false }
        return Self.matches(lines.dropFirst(), expected.dropFirst())
    }

    /// The widths of a table's columns depend on its rows, and do not count.
    private static func words(_ line: String) -> String { line.split(separator: " ").joined(separator: " ") }

    private static func isLike(_ line: String, _ pattern: String) -> Bool {
        let (line, pattern) = (Self.words(line), Self.words(pattern))
        let parts = pattern.split(separator: "…", omittingEmptySubsequences: false).map(String.init)
        guard parts.count > 1, let first = parts.first, let last = parts.last else { return line == pattern }
        guard line.hasPrefix(first), line.hasSuffix(last), line.count >= first.count + last.count else { return false }
        var rest = Substring(line.dropFirst(first.count).dropLast(last.count))
        for part in parts.dropFirst().dropLast() {
            guard let found = rest.firstRange(of: part) else { return false }
            rest = rest[found.upperBound...]
        }
        return true
    }
}

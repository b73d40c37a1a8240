/// A column of a table of `apus top`: what it shows and how rows are ordered by it.
struct TopColumn<Row>: Sendable {
    let title: String
    let width: Int
    /// Of columns that do not all fit, the one with the least goes first.
    let worth: Int
    /// The largest comes first.
    let order: @Sendable (Row) -> Double
    let text: @Sendable (Row) -> String
    var style: @Sendable (Row) -> TextStyle = { _ in .plain }
}

/// Rows under headings in a given width, in a given order: the busiest, or the worst, at the top.
struct TopTable<Row> {
    let title: String
    let columns: [TopColumn<Row>]
    let rows: [Row]
    let name: (Row) -> String
    let series: (Row) -> [Int]

    private static var gap: Int { 2 }
    private static var nameLeast: Int { 12 }
    private static var nameMost: Int { 48 }
    private static var seriesLeast: Int { 10 }

    /// Ordered by a column, `columns.count` being the name; equal ones by name.
    func ordered(by column: Int, isReversed: Bool) -> [Row] {
        let sorted = self.rows.sorted { left, right in
            if self.columns.indices.contains(column) {
                let (first, second) = (self.columns[column].order(left), self.columns[column].order(right))
                if first != second { return first > second }
            }
            return self.name(left) < self.name(right)
        }
        return isReversed ? sorted.reversed() : sorted
    }

    struct Frame {
        var name: Int
        /// Places of the columns that fit.
        var columns: [Int]
        /// Width of the line of the last seconds; 0 without one.
        var series: Int
    }

    /// What fits into a width: the name always, then columns by their worth, then the line of the last seconds.
    func frame(width: Int) -> Frame {
        let longest = max(self.title.count + 8, self.rows.map { self.name($0).count }.max() ?? 0)
        let name = min(max(longest, Self.nameLeast), Self.nameMost, max(width, 1))
        // A long name gives way before a column does.
        var left = width - min(name, Self.nameLeast)
        var shown: [Int] = []
        for place in self.columns.indices.sorted(by: { self.columns[$0].worth > self.columns[$1].worth }) {
            guard left >= self.columns[place].width + Self.gap else { break }
            left -= self.columns[place].width + Self.gap
            shown.append(place)
        }
        let nameShown = min(name, min(name, Self.nameLeast) + left)
        left -= nameShown - min(name, Self.nameLeast)
        let length = self.rows.map { self.series($0).count }.max() ?? 0
        let series = min(left - Self.gap, length)
        return Frame(name: nameShown, columns: shown.sorted(), series: series >= Self.seriesLeast ? series : 0)
    }

    /// The line of headings.
    /// - Parameter title: the name column's heading.
    func heading(_ frame: Frame, title: String, sortedBy column: Int, isReversed: Bool, isChosen: Bool) -> TopLine {
        let mark = isReversed ? "▲" : "▼"
        let style = isChosen ? TextStyle.strong : .dim
        let isByName = column == self.columns.count
        var line = TopLine([(Self.left(title + (isByName ? mark : ""), frame.name), style)])
        for place in frame.columns {
            let column = place == column ? self.columns[place].title + mark : self.columns[place].title
            line.add(Self.right(column, self.columns[place].width + Self.gap), style)
        }
        if frame.series > 0 { line.add("  " + Self.left("LAST \(frame.series) SECONDS", frame.series), style) }
        return line
    }

    func line(_ row: Row, _ frame: Frame) -> TopLine {
        var line = TopLine([(Self.left(self.name(row), frame.name), .plain)])
        for place in frame.columns {
            let column = self.columns[place]
            line.add(Self.right(column.text(row), column.width + Self.gap), column.style(row))
        }
        if frame.series > 0 { line.add("  " + TopText.line(self.series(row), width: frame.series), .accent) }
        return line
    }

    private static func left(_ text: String, _ width: Int) -> String {
        let text = SafeText.of(text)
        guard text.count > width else { return text + String(repeating: " ", count: width - text.count) }
        return text.prefix(max(0, width - 1)) + (width > 0 ? "…" : "")
    }

    private static func right(_ text: String, _ width: Int) -> String {
        let text = SafeText.of(text)
        guard text.count > width else { return String(repeating: " ", count: width - text.count) + text }
        return String(text.suffix(width))
    }
}

/// One line of the screen, in pieces of one style each.
struct TopLine: Equatable {
    private(set) var pieces: [(text: String, style: TextStyle)] = []

    init(_ pieces: [(String, TextStyle)] = []) { for piece in pieces { self.add(piece.0, piece.1) } }

    var width: Int { self.pieces.reduce(0) { $0 + $1.text.count } }
    var text: String { self.pieces.map(\.text).joined() }

    mutating func add(_ text: String, _ style: TextStyle) { if !text.isEmpty { self.pieces.append((text, style)) } }

    /// No wider than the screen.
    func cut(to width: Int) -> TopLine {
        var line = TopLine()
        var left = max(0, width)
        for piece in self.pieces {
            line.add(String(piece.text.prefix(left)), piece.style)
            left -= min(left, piece.text.count)
        }
        return line
    }

    func painted(_ paint: Paint) -> String { self.pieces.map { paint($0.text, $0.style) }.joined() }

    static func == (left: TopLine, right: TopLine) -> Bool { left.pieces.elementsEqual(right.pieces, by: ==) }
}

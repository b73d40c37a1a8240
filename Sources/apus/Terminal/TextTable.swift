/// Rows under headings, aligned, no wider than the screen.
struct TextTable {
    private static let gap = 2
    private static let leastColumn = 8

    let headings: [String]
    private var rows: [[String]] = []

    init(_ headings: [String]) { self.headings = headings }

    mutating func add(_ cells: [String]) {
        precondition(cells.count == self.headings.count, "a row of another table")
        self.rows.append(cells.map { $0.map { $0.isNewline || $0 == "\t" ? " " : String($0) }.joined() })
    }

    /// - Parameter width: columns of the screen; nil for a file or pipe, where nothing is cut.
    func render(width: Int?) -> String {
        var widths = self.headings.map(\.count)
        for row in self.rows {
            for (index, cell) in row.enumerated() { widths[index] = max(widths[index], cell.count) }
        }
        if let width { self.fit(&widths, into: width) }
        return ([self.headings] + self.rows).map { Self.line($0, widths) + "\n" }.joined()
    }

    /// Takes from the widest column first, until the table fits or no column can give more.
    private func fit(_ widths: inout [Int], into width: Int) {
        var excess = widths.reduce(0, +) + Self.gap * (widths.count - 1) - width
        while excess > 0, let widest = widths.indices.max(by: { widths[$0] < widths[$1] }),
            widths[widest] > Self.leastColumn
        {
            let next = widths.enumerated().filter { $0.offset != widest }.map(\.element).max() ?? 0
            let taken = min(excess, max(1, widths[widest] - max(next, Self.leastColumn)))
            widths[widest] -= taken
            excess -= taken
        }
    }

    private static func line(_ cells: [String], _ widths: [Int]) -> String {
        var line = ""
        for (index, cell) in cells.enumerated() {
            let shown = cell.count > widths[index] ? cell.prefix(max(widths[index] - 1, 0)) + "…" : cell[...]
            line += shown
            if index < cells.count - 1 { line += String(repeating: " ", count: widths[index] - shown.count + Self.gap) }
        }
        while line.last == " " { line.removeLast() }
        return line
    }
}

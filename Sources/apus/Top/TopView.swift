/// What of a report is looked at, and how: changed by keys alone.
struct TopView: Equatable {
    enum Section: Int, CaseIterable { case functions, topics }

    /// How one table is shown.
    struct Look: Equatable {
        /// The column that orders it; one past the last is the name.
        var column = 0
        var isReversed = false
        /// The first row that is shown.
        var first = 0
    }

    enum Action: Equatable { case none, draw, redraw, suspend, quit }

    private(set) var section = Section.functions
    private(set) var looks = [Look(), Look()]
    private(set) var isPaused = false
    private(set) var showsHelp = false

    /// Letters that order a table, with the title of their column; `n` is the name.
    static let letters: [(key: Character, title: String)] = [
        ("e", "EVENTS/S"), ("f", "FAILED/S"), ("l", "P99"), ("w", "WORKERS"), ("d", "DEAD"), ("b", "BYTES/S"),
        ("g", "LAG"), ("c", "COST/H"), ("s", "START P50"),
    ]

    init(sortedBy letter: Character? = nil) {
        guard let letter else { return }
        for section in Section.allCases { self.sort(section, letter) }
    }

    subscript(section: Section) -> Look { self.looks[section.rawValue] }

    /// - Parameter rows: how many rows each table has, and how many of them the screen shows.
    mutating func press(_ key: TopKey, rows: (Section) -> (all: Int, shown: Int)) -> Action {
        let counts = rows(self.section)
        let most = max(0, counts.all - counts.shown)
        let index = self.section.rawValue
        switch key {
        case .quit: return .quit
        case .suspend: return .suspend
        case .redraw: return .redraw
        case .other: return .none
        case .help: self.showsHelp.toggle()
        case .pause: self.isPaused.toggle()
        case .section: self.section = self.section == .functions ? .topics : .functions
        case .reverse: self.looks[index].isReversed.toggle()
        case .left: self.move(by: -1)
        case .right: self.move(by: 1)
        case .up: self.looks[index].first -= 1
        case .down: self.looks[index].first += 1
        case .pageUp: self.looks[index].first -= max(1, counts.shown)
        case .pageDown: self.looks[index].first += max(1, counts.shown)
        case .home: self.looks[index].first = 0
        case .end: self.looks[index].first = most
        case .sort(let letter): guard self.sort(self.section, letter) else { return .none }
        }
        if key != .section { self.looks[index].first = min(max(0, self.looks[index].first), most) }
        return .draw
    }

    private static func titles(_ section: Section) -> [String] {
        section == .functions ? TopColumns.functions.map(\.title) : TopColumns.topics.map(\.title)
    }

    private mutating func move(by step: Int) {
        let count = Self.titles(self.section).count + 1
        self.looks[self.section.rawValue].column += step + count
        self.looks[self.section.rawValue].column %= count
    }

    /// - Returns: false where the table has no such column.
    @discardableResult
    private mutating func sort(_ section: Section, _ letter: Character) -> Bool {
        let titles = Self.titles(section)
        let title = Self.letters.first { $0.key == letter }?.title
        guard letter == "n" || title.map(titles.contains) == true else { return false }
        self.looks[section.rawValue].column = title.flatMap(titles.firstIndex(of:)) ?? titles.count
        return true
    }
}

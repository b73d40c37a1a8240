/// The screen of `apus top`: lines made of what is known, for a given size. No line is wider and there are no more than fit.
struct TopLayout {
    var report = TopReport()
    var view = TopView()
    /// The server and the namespace, for the first line.
    var place = ""
    /// What the first line ends with: `live`, or why it is not.
    var status = ""
    var isStale = false
    let width: Int
    /// Nil for all rows, as in a file.
    let height: Int?

    private typealias Functions = TopTable<TopReport.Function>
    private typealias Topics = TopTable<TopReport.Topic>

    private var functions: Functions {
        Functions(
            title: "FUNCTIONS", columns: TopColumns.functions, rows: self.report.functions, name: \.name,
            series: \.series)
    }
    private var topics: Topics {
        Topics(title: "TOPICS", columns: TopColumns.topics, rows: self.report.topics, name: \.name, series: \.series)
    }

    /// From here on the keys have a line of their own.
    private static let keysHeight = 8
    /// From here on both tables are shown, else the chosen one.
    private static let bothHeight = 10

    // MARK: lines

    var lines: [TopLine] {
        let lines = self.view.showsHelp ? self.help : self.header + self.tables + self.keys
        return lines.prefix(self.height ?? .max).map { $0.cut(to: self.width) }
    }

    private var isSmall: Bool { self.height.map { $0 < Self.keysHeight } ?? false }
    private var showsBoth: Bool { self.height.map { $0 >= Self.bothHeight } ?? true }

    private var header: [TopLine] {
        let title = "apus top  \(self.place)"
        let status = self.view.isPaused ? "paused" : self.status
        let gap = max(2, self.width - title.count - status.count)
        let style: TextStyle = self.isStale ? .bad : self.view.isPaused ? .warning : .good
        let first = TopLine([
            ("apus top", .strong), ("  \(self.place)", .plain), (String(repeating: " ", count: gap), .plain),
            (status, style),
        ])
        // Of a narrow screen the status is what matters: it says whether the rest is true.
        let fits = title.count + status.count + 2 <= self.width
        let narrow = TopLine([(status, style), ("  \(self.place)", .plain)])
        let line = fits ? first : narrow
        return self.isSmall ? [line] : [line, self.workers] + self.devices + self.fetches + [TopLine()]
    }

    private var workers: TopLine {
        var line = TopLine([("workers ", .dim)])
        let shown = self.report.instances.filter { $0.count > 0 }
        if shown.isEmpty { line.add("none", .plain) }
        for (index, state) in shown.enumerated() {
            line.add("\(index > 0 ? ", " : "")\(state.count) \(state.name)", state.name == "busy" ? .good : .plain)
        }
        let rate = self.report.functions.reduce(0) { $0 + $1.perSecond }
        let failures = self.report.functions.reduce(0) { $0 + $1.failuresPerSecond }
        line.add("   events/s ", .dim)
        line.add(TopText.rate(rate), .plain)
        line.add("   failed/s ", .dim)
        line.add(TopText.rate(failures), failures > 0 ? .bad : .plain)
        let cold = self.report.coldStarts
        line.add("   cold starts ", .dim)
        line.add(String(cold.count), .plain)
        if cold.count > 0 { line.add(", p50 \(TopText.span(cold.p50)), p99 \(TopText.span(cold.p99))", .plain) }
        line.add("   waiting ", .dim)
        line.add(String(self.report.waiting), self.report.waiting > 0 ? .warning : .plain)
        if let cost = self.report.costPerHour {
            line.add("   \(self.report.currency)/h ", .dim)
            line.add(TopText.money(cost) + (self.report.isCostSimulated ? " simulated" : ""), .plain)
        }
        return line
    }

    /// A line for each of the first devices; on a screen with room for little, one for all.
    private var devices: [TopLine] {
        let devices = self.report.devices
        guard !devices.isEmpty, self.showsBoth else { return [] }
        let room = self.height.map { max(1, ($0 - Self.bothHeight) / 3) } ?? devices.count
        var lines = devices.prefix(room).map(self.line)
        if devices.count > room { lines[room - 1].add("   and \(devices.count - room) more", .dim) }
        return lines
    }

    /// One line for all: starts that wait for what comes.
    private var fetches: [TopLine] {
        guard !self.report.fetches.isEmpty, self.showsBoth else { return [] }
        var line = TopLine([("fetching ", .dim)])
        for (index, fetch) in self.report.fetches.enumerated() {
            let far = FetchText.of(fetch.fetched, bytes: fetch.bytes)
            line.add("\(index > 0 ? ";  " : "")\(SafeText.of(fetch.function)) \(far)", .warning)
        }
        return [line]
    }

    private func line(_ device: TopReport.Device) -> TopLine {
        let kind = device.isSimulated ? " (simulated)" : ""
        var line = TopLine([("device ", .dim), ("\(SafeText.of(device.id)) ", .plain)])
        line.add("\(device.health)\(kind)", device.health == "working" ? .good : .bad)
        line.add("   \(ByteText.short(device.used)) of \(ByteText.short(device.capacity))   ", .plain)
        line.add(SafeText.of(device.instances.isEmpty ? "nothing" : device.instances.joined(separator: ", ")), .plain)
        return line
    }

    private var tables: [TopLine] {
        let shown = self.rows
        if self.showsBoth {
            return self.table(self.functions, .functions, shown.functions) + [TopLine()]
                + self.table(self.topics, .topics, shown.topics)
        }
        return self.view.section == .functions
            ? self.table(self.functions, .functions, shown.functions) : self.table(self.topics, .topics, shown.topics)
    }

    private func table<Row>(_ table: TopTable<Row>, _ section: TopView.Section, _ shown: Int) -> [TopLine] {
        let look = self.view[section]
        let frame = table.frame(width: self.width)
        let first = min(look.first, max(0, table.rows.count - shown))
        let isWhole = shown >= table.rows.count
        let title = isWhole ? table.title : "\(table.title) \(first + 1)-\(first + shown)/\(table.rows.count)"
        let heading = table.heading(
            frame, title: title, sortedBy: look.column, isReversed: look.isReversed,
            isChosen: self.view.section == section || self.height == nil)
        guard !table.rows.isEmpty else { return [heading] + (shown > 0 ? [Self.nothing(section)] : []) }
        let rows = table.ordered(by: look.column, isReversed: look.isReversed).dropFirst(first).prefix(shown)
        return [heading] + rows.map { table.line($0, frame) }
    }

    private static func nothing(_ section: TopView.Section) -> TopLine {
        switch section {
        case .functions: TopLine([("no function has run since the server started", .dim)])
        case .topics: TopLine([("no topic was written or read since the server started", .dim)])
        }
    }

    // MARK: how much fits

    /// How many rows of each table are shown. What one does not need the other gets.
    var rows: (functions: Int, topics: Int) {
        let functions = max(1, self.report.functions.count)
        let topics = max(1, self.report.topics.count)
        guard let height = self.height else { return (functions, topics) }
        guard self.showsBoth else {
            let room = max(0, height - (self.isSmall ? 2 : 5))
            return (min(functions, room), min(topics, room))
        }
        // Two lines of the server, three empty ones, two of headings, one of keys.
        let room = max(2, height - 8 - self.devices.count - self.fetches.count)
        let forTopics = min(topics, max(room / 3, room - functions, 1))
        return (min(functions, room - forTopics), forTopics)
    }

    /// As ``TopView/press(_:rows:)`` asks.
    func rows(of section: TopView.Section) -> (all: Int, shown: Int) {
        switch section {
        case .functions: (self.report.functions.count, self.rows.functions)
        case .topics: (self.report.topics.count, self.rows.topics)
        }
    }

    // MARK: keys

    private var keys: [TopLine] {
        guard self.height != nil, !self.isSmall else { return [] }
        let keys = [
            ("q", "quit"), ("←→", "order by"), ("r", "reverse"), ("tab", "table"), ("↑↓", "scroll"), ("p", "pause"),
            ("?", "help"),
        ]
        var line = TopLine()
        for (key, meaning) in keys {
            line.add("\(key) ", .strong)
            line.add("\(meaning)   ", .dim)
        }
        let used = self.header.count + self.tables.count
        let empty = max(0, (self.height ?? 0) - used - 1)
        return Array(repeating: TopLine(), count: empty) + [line]
    }

    private var help: [TopLine] {
        let texts = [
            ("q, Ctrl-C", "quit"), ("tab", "the other table"), ("← →", "order by the column beside"),
            ("n e f l w d b g", "order by name, events/s, failed/s, p99, workers, dead, bytes/s, lag"),
            ("c s", "order by cost an hour, start time"),
            ("r", "reverse the order"),
            ("↑ ↓ PgUp PgDn Home End", "scroll"), ("p, space", "hold what is shown, and go on"), ("?", "back"),
        ]
        let lines = texts.map {
            TopLine([($0.0 + String(repeating: " ", count: 24 - $0.0.count), .strong), ($0.1, .plain)])
        }
        return lines + [TopLine()] + Self.wrapped(Self.notes, self.width).map { TopLine([($0, .plain)]) }
    }

    private static let notes = """
        Rates are means of the last 5 seconds, once each is over. P50 and P99 are of the time that functions ran, QUEUED P99 of what first attempts \
        waited, exact to a factor of two; these, FAILED and DEAD count from the start of the server. LAG is what the trigger that is furthest \
        behind has yet to settle. COST/H is what an hour costs as things are now, by pool.prices.
        """

    private static func wrapped(_ text: String, _ width: Int) -> [String] {
        var lines: [String] = []
        for word in text.split(separator: " ") {
            if let last = lines.last, last.count + 1 + word.count <= width {
                lines[lines.count - 1] = "\(last) \(word)"
            } else {
                lines.append(String(word))
            }
        }
        return lines
    }
}

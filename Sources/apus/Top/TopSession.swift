internal import ApusCore
internal import ApusLoop
internal import ApusStore
internal import Glibc

/// `apus top` on a terminal: draws what comes, and does what keys say.
final class TopSession {
    private let screen: any LiveScreen
    private let feed: TopFeed
    private let paint: Paint
    private let place: String
    private let clock = SystemClock()
    private var view: TopView
    private var news = TopFeed.News()
    /// What is looked at: it stands still while the view is paused.
    private var report = TopReport()
    private static let tickMilliseconds = 500
    /// A report comes each second; after so long without one, people are told.
    private static let staleAfter = TimeSpan.seconds(3)

    init(_ screen: any LiveScreen, _ feed: TopFeed, _ paint: Paint, place: String, view: TopView) {
        self.screen = screen
        self.feed = feed
        self.paint = paint
        self.place = place
        self.view = view
    }

    /// Until a key or a signal ends it.
    /// - Returns: the signal, nil for a key.
    /// - Throws: what the server said instead of a first report.
    func run() throws -> Int32? {
        try self.draw(isFresh: true)
        while true {
            let input = self.screen.next(self.feed.signal, milliseconds: Self.tickMilliseconds)
            try self.takeNews()
            switch input {
            case .ended(let signal): return signal
            case .nothing: try self.draw(isFresh: false)
            case .resized: try self.draw(isFresh: true)
            case .suspended: try self.suspend()
            case .keys(let bytes):
                for key in TopKey.all(in: bytes) {
                    let layout = self.layout
                    switch self.view.press(key, rows: layout.rows(of:)) {
                    case .quit: return nil
                    case .suspend: try self.suspend()
                    case .redraw: try self.draw(isFresh: true)
                    case .draw: try self.draw(isFresh: false)
                    case .none: break
                    }
                }
            }
        }
    }

    private func suspend() throws {
        self.screen.suspend()
        try self.draw(isFresh: true)
    }

    private func takeNews() throws {
        self.news = self.feed.take()
        if self.news.report == nil, let problem = self.news.problem { throw problem }
        if let report = self.news.report, !self.view.isPaused { self.report = report }
    }

    private var layout: TopLayout {
        let size = self.screen.size
        var layout = TopLayout(
            report: self.report, view: self.view, place: self.place, width: size.columns, height: size.rows)
        let age = self.clock.now - self.news.reportedAt
        if self.news.report == nil {
            layout.status = "waiting for \(self.place)"
        } else if self.news.problem != nil || age > Self.staleAfter {
            layout.isStale = true
            layout.status = "no report for \(max(0, age.microseconds) / 1_000_000) s: trying again"
        } else {
            layout.status = "\(RFC3339.parse(self.report.time).map(TimeText.absolute) ?? "")  live"
        }
        return layout
    }

    private func draw(isFresh: Bool) throws {
        let layout = self.layout
        try self.screen.show(
            layout.lines.map { line in
                // What the line was before is cleared behind it, so that nothing flickers; behind the last column there is nothing, and
                // clearing would take that column itself.
                line.painted(self.paint) + (line.width < layout.width ? "\u{1B}[K" : "")
            }, isFresh: isFresh)
    }
}

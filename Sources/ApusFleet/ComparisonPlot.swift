/// The comparison as a picture: for each policy, what it holds idle against how long starts are waited for.
public enum ComparisonPlot {
    private static let width = 720.0
    private static let height = 420.0
    private static let margin = 60.0

    /// - Returns: SVG, both axes from zero.
    public static func svg(_ rows: [PolicyComparison.Row]) -> String {
        let widest = max(1, rows.map(\.idleHours).max() ?? 1) * 1.1
        let highest = max(0.001, rows.map(\.report.meanDelay).max() ?? 1) * 1.15
        func x(_ hours: Double) -> Double { self.margin + hours / widest * (self.width - 2 * self.margin) }
        func y(_ seconds: Double) -> Double {
            self.height - self.margin - seconds / highest * (self.height - 2 * self.margin)
        }
        var lines = [
            #"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \#(Int(self.width)) \#(Int(self.height))" font-family="sans-serif" font-size="13">"#,
            #"<rect width="100%" height="100%" fill="white"/>"#,
            self.line(x(0), y(0), x(widest / 1.1), y(0)), self.line(x(0), y(0), x(0), y(highest / 1.15)),
            self.text(self.width / 2, self.height - 15, "idle device hours (simulated)", "middle"),
            self.text(15, self.margin - 25, "mean wait for a start, seconds (simulated)", "start"),
        ]
        for tick in self.ticks(upTo: widest / 1.1) { lines.append(self.text(x(tick), y(0) + 18, self.short(tick), "middle")) }
        for tick in self.ticks(upTo: highest / 1.15) { lines.append(self.text(x(0) - 6, y(tick) + 4, self.short(tick), "end")) }
        var labels = PlotLabels()
        for row in rows {
            let (left, top) = (x(row.idleHours), y(row.report.meanDelay))
            if let idle = row.idleInterval { lines.append(self.line(x(idle.lowerBound), top, x(idle.upperBound), top)) }
            if let delay = row.delayInterval {
                lines.append(self.line(left, y(delay.lowerBound), left, y(delay.upperBound)))
            }
            lines.append(#"<circle cx="\#(self.short(left))" cy="\#(self.short(top))" r="5" fill="steelblue"/>"#)
            let label = labels.place(row.name, at: left, top)
            lines.append(self.text(label.x, label.y, row.name, label.anchor))
        }
        return (lines + ["</svg>"]).joined(separator: "\n") + "\n"
    }

    private static func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double) -> String {
        #"<line x1="\#(self.short(x1))" y1="\#(self.short(y1))" x2="\#(self.short(x2))" y2="\#(self.short(y2))" stroke="gray"/>"#
    }

    private static func text(_ x: Double, _ y: Double, _ text: String, _ anchor: String) -> String {
        #"<text x="\#(self.short(x))" y="\#(self.short(y))" text-anchor="\#(anchor)">\#(text)</text>"#
    }

    /// Some round numbers above zero; none of what is too little to be written with one digit behind the point.
    static func ticks(upTo most: Double) -> [Double] {
        var step = 0.1
        while most / step >= 10 { step *= 10 }
        // Of few of these, halves or fifths are told, of many every second.
        let count = most / step
        if step > 0.1 { step *= count < 2 ? 0.2 : count < 4 ? 0.5 : count < 7 ? 1 : 2 }
        let ticks = Int(most / step + 1e-9)
        return ticks < 1 ? [] : (1...ticks).map { Double($0) * step }
    }

    /// One digit behind the point.
    private static func short(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(abs(tenths % 10))"
    }
}

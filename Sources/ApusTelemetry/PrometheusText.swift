internal import ApusCore

/// Writes metrics as Prometheus reads them: text format 0.0.4.
public enum PrometheusText {
    public static let mediaType = "text/plain; version=0.0.4; charset=utf-8"

    public static func write(_ metrics: Metrics) -> [UInt8] {
        var text = ""
        var byMetric: [[Metrics.Series]] = Array(repeating: [], count: metrics.metrics.count)
        for series in metrics.series { byMetric[series.metric].append(series) }
        for (index, description) in metrics.metrics.enumerated().sorted(by: { $0.element.name < $1.element.name }) {
            text += "# HELP \(description.name) \(escaped(description.help, quotes: false))\n"
            text += "# TYPE \(description.name) \(description.kind.word)\n"
            for series in byMetric[index].sorted(by: { $0.labels.lexicographicallyPrecedes($1.labels) }) {
                write(series, description, to: &text)
            }
        }
        return Array(text.utf8)
    }

    private static func write(_ series: Metrics.Series, _ description: MetricDescription, to text: inout String) {
        let labels = zip(description.labels, series.labels).map { "\($0)=\"\(escaped($1, quotes: true))\"" }
        guard case .histogram(let bounds) = description.kind else {
            text += "\(description.name)\(joined(labels)) \(number(series.value))\n"
            return
        }
        var total: UInt64 = 0
        for (bound, count) in zip(bounds.map(number) + ["+Inf"], series.counts) {
            total += count
            text += "\(description.name)_bucket\(joined(labels + ["le=\"\(bound)\""])) \(total)\n"
        }
        text += "\(description.name)_sum\(joined(labels)) \(number(series.value))\n"
        text += "\(description.name)_count\(joined(labels)) \(total)\n"
    }

    private static func joined(_ labels: [String]) -> String {
        labels.isEmpty ? "" : "{\(labels.joined(separator: ","))}"
    }

    /// Only what the format names is escaped; everything else is text.
    private static func escaped(_ text: String, quotes: Bool) -> String {
        var escaped = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": escaped.append(contentsOf: "\\\\".unicodeScalars)
            case "\n": escaped.append(contentsOf: "\\n".unicodeScalars)
            case "\"" where quotes: escaped.append(contentsOf: "\\\"".unicodeScalars)
            default: escaped.append(scalar)
            }
        }
        return String(escaped)
    }

    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        // Whole numbers without a point, as long as a Double tells them apart.
        if value == value.rounded(), abs(value) < 9_007_199_254_740_992 { return "\(Int64(value))" }
        return "\(value)"
    }
}

extension MetricDescription.Kind {
    public var word: String {
        switch self {
        case .counter: "counter"
        case .gauge: "gauge"
        case .histogram: "histogram"
        }
    }
}

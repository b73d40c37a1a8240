public import ApusCore

/// What a metric is called and how it is read. Names follow Prometheus: `apus_deliveries_total`, units last.
public struct MetricDescription: Sendable, Equatable {
    public enum Kind: Sendable, Equatable {
        /// Only grows.
        case counter
        /// Goes up and down; the parts of several shards add up to the whole.
        case gauge
        /// Counts what fell at or below each bound, in ascending order.
        case histogram(bounds: [Double])
    }

    public let name: String
    /// One sentence for people.
    public let help: String
    public let kind: Kind
    /// Names of the labels; each series has a value for each.
    public let labels: [String]
    /// Series with values of their own; what comes above shares one named `other`.
    public let seriesMax: Int

    public init(
        _ name: String, _ help: String, _ kind: Kind, labels: [String] = [],
        seriesMax: Int = Limits.Telemetry.seriesPerMetric
    ) {
        precondition(
            MetricDescription.isName(name) && labels.allSatisfy(MetricDescription.isName), "letters, digits and _ only")
        if case .histogram(let bounds) = kind {
            precondition(
                bounds == bounds.sorted() && bounds.allSatisfy(\.isFinite) && !labels.contains("le"), "bounds ascend")
        }
        self.name = name
        self.help = help
        self.kind = kind
        self.labels = labels
        self.seriesMax = seriesMax
    }

    private static func isName(_ name: String) -> Bool {
        guard let first = name.utf8.first, !(0x30...0x39).contains(first) else { return false }
        return name.utf8.allSatisfy {
            $0 == 0x5F || (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
        }
    }
}

/// One series of a ``Metrics``, to be counted up without a look-up. Valid only for the value that gave it, and its copies.
public struct MetricSeries: Sendable, Hashable {
    fileprivate let index: Int
}

/// The metrics of one shard or thread: a plain value that its owner counts in, without locks. To read them elsewhere, send a copy,
/// which shares storage until the next count; ``merge(_:)`` adds copies up.
public struct Metrics: Sendable {
    struct Series: Sendable {
        let metric: Int
        let labels: [String]
        /// A counter's or gauge's number, a histogram's sum.
        var value = 0.0
        /// A histogram's counts, each bound's own, the last for what is above all.
        var counts: [UInt64]
    }

    private struct Key: Hashable {
        let metric: Int
        let labels: [String]
    }

    private(set) var metrics: [MetricDescription] = []
    private(set) var series: [Series] = []
    private var byName: [String: Int] = [:]
    private var byLabels: [Key: Int] = [:]
    private var seriesCounts: [Int] = []

    public init() {}

    /// The series of these label values, made at its first use.
    ///
    /// Label values come from outside (names of functions, topics), so their number has a bound: what comes above it shares one
    /// series whose values are all `other`.
    public mutating func series(_ description: MetricDescription, _ labels: [String] = []) -> MetricSeries {
        precondition(
            labels.count == description.labels.count, "\(description.name) has the labels \(description.labels)")
        let metric = self.metric(description)
        let labels = labels.map(Metrics.cut)
        if let index = self.byLabels[Key(metric: metric, labels: labels)] { return MetricSeries(index: index) }
        let isFull = self.seriesCounts[metric] >= description.seriesMax
        let kept = isFull ? labels.map { _ in "other" } : labels
        if isFull, let index = self.byLabels[Key(metric: metric, labels: kept)] { return MetricSeries(index: index) }
        var counts: [UInt64] = []
        if case .histogram(let bounds) = description.kind { counts = Array(repeating: 0, count: bounds.count + 1) }
        self.series.append(Series(metric: metric, labels: kept, counts: counts))
        self.seriesCounts[metric] += 1
        self.byLabels[Key(metric: metric, labels: kept)] = self.series.count - 1
        return MetricSeries(index: self.series.count - 1)
    }

    /// Counts up by `count`; for gauges also down.
    public mutating func add(_ series: MetricSeries, _ count: Double = 1) { self.series[series.index].value += count }

    public mutating func set(_ series: MetricSeries, _ value: Double) { self.series[series.index].value = value }

    /// Takes one measured value into a histogram.
    public mutating func observe(_ series: MetricSeries, _ value: Double) {
        guard case .histogram(let bounds) = self.metrics[self.series[series.index].metric].kind else { return }
        // Bounds are few; a search by halves would be no faster.
        var bucket = 0
        while bucket < bounds.count, value > bounds[bucket] { bucket += 1 }
        self.series[series.index].counts[bucket] += 1
        self.series[series.index].value += value
    }

    /// Adds what was counted elsewhere in the same bounds.
    /// - Parameter counts: of each bound its own, the last above all.
    public mutating func add(_ series: MetricSeries, counts: [UInt64], sum: Double) {
        precondition(counts.count == self.series[series.index].counts.count, "a histogram's bounds are fixed")
        for (bucket, count) in counts.enumerated() { self.series[series.index].counts[bucket] += count }
        self.series[series.index].value += sum
    }

    /// The number of a counter or gauge, the sum of a histogram.
    public func value(_ series: MetricSeries) -> Double { self.series[series.index].value }

    /// Adds what another shard counted.
    public mutating func merge(_ other: Metrics) {
        for theirs in other.series {
            let ours = self.series(other.metrics[theirs.metric], theirs.labels)
            self.add(ours, counts: theirs.counts, sum: theirs.value)
        }
    }

    private mutating func metric(_ description: MetricDescription) -> Int {
        if let index = self.byName[description.name] {
            precondition(self.metrics[index] == description, "\(description.name) is described in two ways")
            return index
        }
        self.metrics.append(description)
        self.seriesCounts.append(0)
        self.byName[description.name] = self.metrics.count - 1
        return self.metrics.count - 1
    }

    /// At most so many bytes, and no half character.
    private static func cut(_ label: String) -> String {
        guard label.utf8.count > Limits.Telemetry.labelBytes else { return label }
        var kept = label.prefix(Limits.Telemetry.labelBytes)
        while kept.utf8.count > Limits.Telemetry.labelBytes { kept = kept.dropLast() }
        return String(kept)
    }
}

extension MetricDescription {
    /// Seconds from 100 us to a minute: bounds for how long something took.
    public static let secondsBounds: [Double] = [
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
    ]
}

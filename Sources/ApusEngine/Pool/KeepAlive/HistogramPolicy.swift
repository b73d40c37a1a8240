public import ApusCore

/// Histograms of idle times, as published (Shahrad et al., Serverless in the Wild, USENIX ATC 2020, section 4.2). A baseline.
///
/// Where the paper names no number, the replicas' are taken: 10 samples make a histogram, and half of them out of bounds make it
/// useless. Then the paper forecasts with ARIMA; this takes a moving average of the logarithm of the idle time, with the
/// paper's margin around it.
public struct HistogramPolicy: KeepAlivePolicy {
    static let bins = 240
    static let binWidth = TimeSpan.seconds(60)
    static let samples = 10
    static let outOfBoundsShare = 0.5
    static let head = 0.05
    static let tail = 0.99
    static let margin = 0.10
    static let variation = 2.0
    static let forecastMargin = 0.15
    /// The share of the newest idle time in the average of their logarithms.
    static let forecastWeight = 0.3

    private struct Histogram {
        var counts = [UInt32](repeating: 0, count: HistogramPolicy.bins)
        var inBounds = 0
        var outOfBounds = 0
        var squares = 0.0
        /// Of the idle time in seconds.
        var logarithm = 0.0

        mutating func add(_ gap: TimeSpan) {
            let seconds = max(1, Double(gap.microseconds) * 1e-6)
            let weight = self.inBounds + self.outOfBounds == 0 ? 1 : HistogramPolicy.forecastWeight
            self.logarithm += weight * (Logarithm.of(seconds) - self.logarithm)
            let bin = Int(gap.microseconds / HistogramPolicy.binWidth.microseconds)
            guard bin < HistogramPolicy.bins else { return self.outOfBounds += 1 }
            // The sum of squares of the counts, kept with each of them.
            self.squares += Double(2 * self.counts[bin] + 1)
            self.counts[bin] += 1
            self.inBounds += 1
        }

        /// Standard deviation of the bins' counts by their mean.
        var variation: Double {
            let count = Double(HistogramPolicy.bins)
            let mean = Double(self.inBounds) / count
            guard mean > 0 else { return 0 }
            return max(0, self.squares / count - mean * mean).squareRoot() / mean
        }

        /// The bin below which that share of the idle times lies.
        func bin(at share: Double) -> Int {
            let wanted = share * Double(self.inBounds)
            var sum = 0.0
            for (bin, count) in self.counts.enumerated() {
                sum += Double(count)
                if sum >= wanted, sum > 0 { return bin }
            }
            return HistogramPolicy.bins - 1
        }
    }

    private var histograms: [Histogram] = []
    /// How long the instance stays in the host's memory after it left the device; the paper knows one tier.
    public let host: TimeSpan?

    public init(host: TimeSpan? = nil) { self.host = host }

    public mutating func observe(gap: TimeSpan, of function: Int) {
        while self.histograms.count <= function { self.histograms.append(Histogram()) }
        self.histograms[function].add(max(.zero, gap))
    }

    public mutating func keep(_ function: Int, _ view: KeepAliveView) -> KeepAlive {
        let longest = TimeSpan(microseconds: Self.binWidth.microseconds * Int64(Self.bins))
        guard self.histograms.indices.contains(function) else { return self.stay(longest) }
        let histogram = self.histograms[function]
        let samples = histogram.inBounds + histogram.outOfBounds
        guard samples >= Self.samples else { return self.stay(longest) }
        if Double(histogram.outOfBounds) > Self.outOfBoundsShare * Double(samples) {
            let forecast = Logarithm.exponential(histogram.logarithm)
            return self.window(
                from: (1 - Self.forecastMargin) * forecast, to: (1 + Self.forecastMargin) * forecast)
        }
        guard histogram.variation >= Self.variation else { return self.stay(longest) }
        let width = Double(Self.binWidth.microseconds) * 1e-6
        let head = Double(histogram.bin(at: Self.head)) * width
        let tail = Double(histogram.bin(at: Self.tail) + 1) * width
        return self.window(from: (1 - Self.margin) * head, to: (1 + Self.margin) * tail)
    }

    private func stay(_ span: TimeSpan) -> KeepAlive { KeepAlive(device: span, host: self.host ?? span) }

    /// Gone until the window begins, back for as long as it lasts.
    private func window(from start: Double, to end: Double) -> KeepAlive {
        let (first, last) = (TimeSpan(microseconds: Int64(start * 1e6)), TimeSpan(microseconds: Int64(end * 1e6)))
        guard first > .zero, first < last else { return self.stay(last) }
        return KeepAlive(device: .zero, host: self.host ?? .zero, prewarm: first..<last)
    }
}

internal import ApusCore
internal import ApusHTTP
internal import ApusHost

/// How long requests took, by operation and class of status. Confined to one loop; read by value.
struct RequestDurations: Sendable {
    /// 1xx to 5xx.
    private static let classes = 5
    private var histograms: [LatencyHistogram?] = []

    /// - Parameter operation: its place in the table; -1 for what no operation took.
    mutating func note(operation: Int, status: UInt32, _ span: TimeSpan) {
        let slot = (operation + 1) * Self.classes + Int(min(max(status / 100, 1), 5)) - 1
        while slot >= self.histograms.count { self.histograms.append(nil) }
        if self.histograms[slot] == nil { self.histograms[slot] = LatencyHistogram() }
        self.histograms[slot]?.record(span)
    }

    /// - Parameter body: gets the operation's place and the class's name: `2xx`.
    func forEach(_ body: (Int, String, LatencyHistogram) -> Void) {
        for (slot, histogram) in self.histograms.enumerated() {
            guard let histogram else { continue }
            body(slot / Self.classes - 1, "\(slot % Self.classes + 1)xx", histogram)
        }
    }
}

internal import ApusCore
internal import ApusHost
internal import ApusTools

/// How long requests of agents took, by what was asked, and why some were refused. Confined to one loop; read by value.
///
/// Tools are those that are deployed, so that no caller makes series. Those that come after the bound are counted together.
struct OperationDurations: Sendable {
    enum Status: String, Sendable {
        case ok
        /// A result that says what went wrong, which models read.
        case toolError = "tool_error"
        /// An error of the protocol.
        case error
        /// Its caller is asked first, and comes again.
        case inputRequired = "input_required"
        /// Its caller left, or did not want it any more.
        case cancelled
    }

    struct Key: Hashable, Sendable {
        let method: ProtocolMethod
        let namespace: Namespace
        /// Empty where no tool was asked for, or none that there is.
        var tool: String
        let status: Status

        var labels: [String] { [self.method.rawValue, self.namespace.name, self.tool, self.status.rawValue] }
    }

    private(set) var histograms: [Key: LatencyHistogram] = [:]
    /// By reason.
    private(set) var refused: [String: UInt64] = [:]
    private let most: Int

    init(most: Int = Limits.Server.measuredOperations) { self.most = most }

    mutating func note(_ key: Key, _ span: TimeSpan) {
        var key = key
        if self.histograms.count >= self.most, self.histograms[key] == nil { key.tool = "other" }
        self.histograms[key, default: LatencyHistogram()].record(span)
    }

    /// - Parameter reason: a word of this code.
    mutating func refuse(_ reason: String) { self.refused[reason, default: 0] += 1 }
}

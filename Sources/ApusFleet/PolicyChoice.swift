public import ApusCore
internal import ApusEngine

/// A policy as it is asked for by name.
public enum PolicyChoice: Sendable, Hashable {
    case fixed(TimeSpan)
    case histogram
    case greedyDual
    case rentOrBuy
    case oracle

    /// `rent-or-buy`, `histogram`, `greedy-dual`, `oracle`, or `fixed-5m`.
    /// - Returns: nil for a name that none has.
    public init?(_ text: String) {
        switch text {
        case "histogram": self = .histogram
        case "greedy-dual": self = .greedyDual
        case "rent-or-buy": self = .rentOrBuy
        case "oracle": self = .oracle
        default:
            guard text.hasPrefix("fixed-"), let span = Self.span(text.dropFirst(6)) else { return nil }
            self = .fixed(span)
        }
    }

    /// `90s`, `5m`, `4h`, `2d`.
    public static func span(_ text: some StringProtocol) -> TimeSpan? {
        let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3_600, "d": 86_400]
        guard let unit = text.last.flatMap({ units[$0] }), let count = Int64(text.dropLast()),
            (1...1_000_000).contains(count)
        else { return nil }
        return .seconds(count * unit)
    }

    public var name: String {
        switch self {
        case .fixed(let span):
            let seconds = span.microseconds / 1_000_000
            return seconds % 60 == 0 ? "FixedTTL \(seconds / 60)m" : "FixedTTL \(seconds)s"
        case .histogram: return "Histogram"
        case .greedyDual: return "GreedyDual"
        case .rentOrBuy: return "RentOrBuy"
        case .oracle: return "Oracle"
        }
    }

    /// What the rest is measured against: what most platforms do, and what cannot be beaten.
    public static let bounds: [PolicyChoice] = [.fixed(.seconds(600)), .oracle]

    /// All there are, in the order of a table.
    public static let all: [PolicyChoice] = [.fixed(.seconds(600)), .histogram, .greedyDual, .rentOrBuy, .oracle]

    func policy(functions: Int, _ prices: KeepAlivePrices) -> KeepAliveChoice {
        switch self {
        case .fixed(let span): .fixed(FixedTTL(device: span))
        case .histogram: .histogram(HistogramPolicy())
        case .greedyDual: .greedyDual(GreedyDual())
        case .rentOrBuy: .rentOrBuy(RentOrBuy(prices: prices))
        case .oracle: .oracle(Oracle(functions: functions, prices: prices))
        }
    }
}

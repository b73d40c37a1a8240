internal import ApusCore
internal import ApusManifest
internal import ApusStore
internal import Synchronization

/// What a running attempt of each function costs, as its manifest and the configured prices say: for budgets, which must know at once. From any
/// thread.
///
/// It is what `apus cost` counts while a worker is busy. What keeps a worker or a model ready is nobody's call, and no part of it.
final class CallRates: Sendable {
    private let prices: Prices
    /// Billionths of the currency for a microsecond.
    private let rates = Mutex<[ResourceName: Double]>([:])

    init(_ prices: Prices) { self.prices = prices }

    func update(_ catalogue: Catalogue) {
        guard !self.prices.isEmpty else { return }
        let rates = catalogue.functions.values.map { ($0.name, self.rate($0.manifest.resources)) }
        self.rates.withLock { $0 = Dictionary(rates) { $1 } }
    }

    func cost(of function: ResourceName, running: TimeSpan) -> Money {
        guard !self.prices.isEmpty, running > .zero, let rate = self.rates.withLock({ $0[function] }) else { return .zero }
        return Money(billionths: Int64(min(rate * Double(running.microseconds), Double(Money.most.billionths)).rounded()))
    }

    private func rate(_ resources: FunctionManifest.Resources) -> Double {
        var hour = self.prices.hour(of: resources, isBusy: true)
        if let gpu = resources.gpu {
            // Of a function that takes any device the dearest is assumed: a budget is not exceeded by what was not known.
            let price = gpu.kind.map { self.prices.devices[$0] ?? 0 } ?? self.prices.devices.values.max() ?? 0
            hour += Double(gpu.count) * price
        }
        return hour * 1e9 / UsageItem.hour
    }
}

public import ApusCore

/// Where an instance starts from: the nearest place where its weights are.
public enum Tier: UInt8, Sendable, Hashable, CaseIterable, Comparable {
    /// On the device: nothing to start.
    case device
    /// In the host's memory, the process alive: a wake.
    case host
    /// In a file of this machine: a cold start.
    case disk
    /// Elsewhere: fetched first.
    case remote

    public static func < (left: Tier, right: Tier) -> Bool { left.rawValue < right.rawValue }
}

/// How long starts take, by what they were seen to take: of one function from one tier on one kind of device.
///
/// The estimate is the larger of a moving average and the 90th percentile of the last twenty, so that one slow start is not
/// forgotten at once and a lasting change is believed soon. Before the first start it is what the bytes take on the links.
public struct StartEstimator: Sendable {
    private struct Samples: Sendable {
        var average: Double = 0
        /// Microseconds, the oldest overwritten first.
        var last: [Int64] = []
        var oldest = 0

        mutating func add(_ span: Int64) {
            self.average += (Double(span) - self.average) / (self.last.isEmpty ? 1 : 8)
            guard self.last.count == Limits.Pool.startSamples else { return self.last.append(span) }
            self.last[self.oldest] = span
            self.oldest = (self.oldest + 1) % Limits.Pool.startSamples
        }

        /// The value that nine of ten starts stay within.
        var ninetieth: Int64 {
            let sorted = self.last.sorted()
            return sorted[(sorted.count * 9 - 1) / 10]
        }
    }

    private struct Place: Hashable {
        var function: Int32
        var tier: Tier
        var kind: Int32
    }

    private var samples: [Place: Samples] = [:]
    /// The estimates, made anew with each sample only: decisions read them often.
    private var estimates: [Place: TimeSpan] = [:]

    public init() {}

    public mutating func observe(_ span: TimeSpan, function: Int, from tier: Tier, kind: Int = 0) {
        let place = Place(function: Int32(function), tier: tier, kind: Int32(kind))
        var samples = self.samples[place] ?? Samples()
        samples.add(max(0, span.microseconds))
        self.samples[place] = samples
        self.estimates[place] = TimeSpan(microseconds: max(Int64(samples.average), samples.ninetieth))
    }

    /// - Parameter prior: what to say before a first start.
    public func estimate(function: Int, from tier: Tier, kind: Int = 0, prior: TimeSpan) -> TimeSpan {
        guard tier != .device else { return .zero }
        return self.estimates[Place(function: Int32(function), tier: tier, kind: Int32(kind))] ?? prior
    }

    /// Another revision may start in another time.
    public mutating func forget(function: Int) {
        for tier in Tier.allCases {
            for place in self.samples.keys where place.function == Int32(function) && place.tier == tier {
                self.samples[place] = nil
                self.estimates[place] = nil
            }
        }
    }
}

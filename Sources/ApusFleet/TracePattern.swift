public import ApusCore
internal import ApusEngine

/// How the requests of one function follow each other.
public enum TracePattern: Sendable, Hashable {
    /// As published of model serving: requests of a session, pauses within it, and long silences; see ``TraceGaps``.
    case fitted
    /// Alone, each at any time.
    case poisson
    /// Each gap a little longer than this: what a policy that stays so long pays most for.
    case above(TimeSpan)
    /// By day many, by night few.
    case diurnal
    /// Little, and now and then a crowd within seconds.
    case bursts
    /// Busy for an hour or so, then silent for long.
    case onOff

    /// - Returns: nil for a name that none has. `above` alone is above 10 minutes.
    public init?(_ name: String) {
        switch name {
        case "fitted": self = .fitted
        case "poisson": self = .poisson
        case "above": self = .above(.seconds(600))
        case "diurnal": self = .diurnal
        case "bursts": self = .bursts
        case "on-off": self = .onOff
        default: return nil
        }
    }

    public static let names = ["fitted", "poisson", "above", "diurnal", "bursts", "on-off"]
}

/// The gaps between the requests of one function, in seconds.
///
/// `fitted` is a mixture of three log-normal parts: within a session and pauses, both the same for all functions, and silences
/// as long as its popularity asks for. With 40 functions, Zipf's exponent 1 and 0.0135 requests a second it gives what was
/// published of 87 models over 23 days: half of the gaps within 71 s, 90 % within 22 min, 95 % within 94 min, 99 % within a day, and
/// of the idle times 43 % above 1 min, 21 % above 5 min, 15 % above 10 min, 6 % above 1 h, 4 % above 4 h. A test compares.
struct TraceGaps {
    private struct Part {
        var share: Double
        var mean: Double
        var deviation: Double
    }
    private static let session = Part(share: 0.60, mean: 57, deviation: 1.41)
    private static let pause = Part(share: 0.29, mean: 380, deviation: 1.22)
    private static let silenceDeviation = 1.33
    private static let day = 86_400.0
    private static let onSpan = 3_600.0
    private static let onGap = 30.0
    private static let crowd = 40.0

    let pattern: TracePattern
    /// In seconds. `above` keeps to its own.
    let mean: Double
    /// Requests of the crowd, or the moment at which the busy time ends.
    private var left = 0.0

    init(pattern: TracePattern, mean: Double) {
        self.pattern = pattern
        self.mean = mean
    }

    mutating func first(_ random: inout TraceRandom) -> Double {
        switch self.pattern {
        case .above(let stay): random.unit() * Double(stay.microseconds) * 1e-6
        default: random.unit() * self.mean
        }
    }

    mutating func next(at: Double, _ random: inout TraceRandom) -> Double {
        switch self.pattern {
        case .fitted: return self.fitted(&random)
        case .poisson: return self.mean * random.exponential()
        case .above(let stay): return Double(stay.microseconds) * 1e-6 * (1.03 + 0.1 * random.unit())
        case .diurnal: return self.diurnal(at, &random)
        case .bursts: return self.burst(&random)
        case .onOff: return self.onOff(at, &random)
        }
    }

    private func fitted(_ random: inout TraceRandom) -> Double {
        let part = random.unit()
        let (session, pause) = (Self.session, Self.pause)
        if part < session.share { return random.logNormal(mean: session.mean, deviation: session.deviation) }
        if part < session.share + pause.share { return random.logNormal(mean: pause.mean, deviation: pause.deviation) }
        let others = session.share * session.mean + pause.share * pause.mean
        let silence = max(session.mean, (self.mean - others) / (1 - session.share - pause.share))
        return random.logNormal(mean: silence, deviation: Self.silenceDeviation)
    }

    /// A rate that follows the day, by leaving out what is too many.
    private func diurnal(_ start: Double, _ random: inout TraceRandom) -> Double {
        var at = start
        while true {
            at += self.mean / 1.9 * random.exponential()
            let hour = (at / Self.day).truncatingRemainder(dividingBy: 1) * 24
            // From 8 to 20 o'clock nearly all, else few.
            let share = hour >= 8 && hour < 20 ? 1.0 : 0.05
            if random.unit() < share { return at - start }
        }
    }

    private mutating func burst(_ random: inout TraceRandom) -> Double {
        if self.left > 0 {
            self.left -= 1
            return 10 / Self.crowd * random.exponential()
        }
        // One request in two of all comes alone.
        if random.unit() < 1 / (Self.crowd + 1) { self.left = 2 * Self.crowd * random.unit() }
        return 2 * self.mean * random.exponential()
    }

    private mutating func onOff(_ at: Double, _ random: inout TraceRandom) -> Double {
        let gap = min(Self.onGap, self.mean) * random.exponential()
        if at + gap < self.left { return gap }
        // Silent for so long that its mean is kept.
        let silence = max(0, Self.onSpan * (self.mean / Self.onGap - 1)) * random.exponential()
        self.left = at + silence + Self.onSpan * random.exponential()
        return silence + gap
    }
}

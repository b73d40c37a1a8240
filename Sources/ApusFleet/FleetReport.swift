internal import ApusCore
internal import ApusEngine

/// What a simulated run came to.
public struct FleetReport: Sendable {
    public private(set) var requests = 0
    /// Requests that found an instance ready, that waited for one to wake, that waited for one to start.
    public private(set) var warm = 0
    public private(set) var woken = 0
    public private(set) var cold = 0
    /// From the arrival to the start of its run, of each request, in microseconds.
    public private(set) var delays: [Int64] = []
    /// Device time by what it was spent on, in microseconds.
    public private(set) var busy: Int64 = 0
    public private(set) var idle: Int64 = 0
    public private(set) var moving: Int64 = 0
    /// Held by what is gone and whose memory is not back.
    public private(set) var stuck: Int64 = 0
    /// Time that sleeping instances lay in the host's memory.
    public private(set) var asleep: Int64 = 0
    /// The same by day, for how sure the whole is.
    public private(set) var days: [Day] = []
    /// Devices that disappeared, each time that one did.
    public internal(set) var lostDevices = 0
    /// Events of the simulation.
    public internal(set) var events = 0

    /// One day of a run.
    public struct Day: Sendable, Hashable {
        public var requests = 0
        public var woken = 0
        public var cold = 0
        /// Microseconds.
        public var delay: Int64 = 0
        public var idle: Int64 = 0
        public var asleep: Int64 = 0
    }

    private mutating func day(_ at: Timestamp) -> Int {
        let day = Int(at.microseconds / 86_400_000_000)
        while self.days.count <= day { self.days.append(Day()) }
        return day
    }

    mutating func served(_ origin: Tier, after delay: TimeSpan, at: Timestamp) {
        let day = self.day(at)
        self.days[day].requests += 1
        self.days[day].delay += delay.microseconds
        switch origin {
        case .device: break
        case .host: self.days[day].woken += 1
        case .disk, .remote: self.days[day].cold += 1
        }
        self.requests += 1
        self.delays.append(delay.microseconds)
        switch origin {
        case .device: self.warm += 1
        case .host: self.woken += 1
        case .disk, .remote: self.cold += 1
        }
    }

    /// - Parameter at: its end; what lasted past midnight counts for the day that it ended in.
    mutating func count(_ state: InstanceState, _ span: Int64, at: Timestamp) {
        if state == .ready { self.days[self.day(at)].idle += span }
        if state == .sleeping { self.days[self.day(at)].asleep += span }
        switch state {
        case .ready: self.idle += span
        case .busy, .draining: self.busy += span
        case .starting(.loading), .starting(.warming), .starting(.waking), .stopped: self.moving += span
        case .sleeping: self.asleep += span
        case .quarantined: self.stuck += span
        case .absent, .starting(.fetching), .starting(.forking): break
        }
    }

    public var meanDelay: Double {
        self.delays.isEmpty ? 0 : Double(self.delays.reduce(0, +)) * 1e-6 / Double(self.delays.count)
    }

    /// The delays within which those shares of the requests began, in seconds.
    public func delays(at shares: [Double]) -> [Double] {
        let sorted = self.delays.sorted()
        return shares.map { share in
            sorted.isEmpty ? 0 : Double(sorted[min(sorted.count - 1, Int(share * Double(sorted.count)))]) * 1e-6
        }
    }
}

public import ApusCore
internal import Glibc

/// The server's clock: the wall time of its start plus what the monotonic clock counted since, so that it never runs backwards.
public struct SystemClock: Sendable {
    private let offset: Int64

    public init() {
        self.offset = SystemClock.read(CLOCK_REALTIME) - SystemClock.read(CLOCK_MONOTONIC)
    }

    public var now: Timestamp { Timestamp(microseconds: SystemClock.read(CLOCK_MONOTONIC) + self.offset) }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
    }
}

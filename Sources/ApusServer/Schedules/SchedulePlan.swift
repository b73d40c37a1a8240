internal import ApusCore
internal import ApusManifest

/// A scheduled trigger as it is deployed.
struct SchedulePlan: Sendable, Equatable {
    var key: ScheduleKey
    /// The function's generation that made it: what was kept of another one does not count.
    var generation: UInt64
    /// When it was made; times before are none of its own.
    var since: Timestamp
    var clock: ZonedCron
    var missed: ScheduleTriggerManifest.Missed
    /// By its manifest or by an operator, itself or its function.
    var isPaused: Bool
}

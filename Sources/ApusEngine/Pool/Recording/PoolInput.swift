public import ApusCore

/// All that can happen to a pool. The same inputs at the same times give the same decisions, so that a run that was written down can be
/// decided again: see ``PoolReplay``.
public enum PoolInput: Sendable, Equatable {
    case message(PoolMessage)
    /// The next device of the inventory.
    case device(capacity: Int64, kind: Int)
    case observed(DeviceID, used: Int64, attributed: Int64)
    case quarantined(DeviceID, String)
    case lost(DeviceID)
    case draining(DeviceID)
    case cleared(DeviceID)
    /// So many invocations were given to an instance, or ended in it.
    case used(InstanceID, Int)
    case released(InstanceID, Int)
    case drained(InstanceID)
    /// The time that the pool asked for has come.
    case tick
}

extension Pool {
    public mutating func receive(_ input: PoolInput, now: Timestamp) {
        switch input {
        case .message(let message): self.receive(message, now: now)
        case .device(let capacity, let kind): self.add(capacity: capacity, kind: kind, now: now)
        case .observed(let device, let used, let attributed):
            self.observed(device, used: used, attributed: attributed, now: now)
        case .quarantined(let device, let reason): self.quarantine(device, reason, now: now)
        case .lost(let device): self.lost(device, now: now)
        case .draining(let device): self.drain(device, now: now)
        case .cleared(let device): self.clear(device, now: now)
        case .used(let instance, let count): self.used(instance, count, now: now)
        case .released(let instance, let count): self.released(instance, count, now: now)
        case .drained(let instance): self.drained(instance, now: now)
        case .tick: self.tick(now: now)
        }
    }
}

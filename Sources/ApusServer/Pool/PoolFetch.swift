internal import ApusCore
internal import ApusHost
internal import ApusJSON

/// An instance that the pool starts and whose weights come to this machine first: no shard knows of it before.
struct PoolFetch: Sendable {
    var function: ResourceName
    var revision: String
    var since: Timestamp
    var isolation: WorkerIsolation.Level

    /// As other instances are shown; its worker is 0, since there is none.
    var json: JSONValue {
        let isolation = WorkerIsolation(self.isolation)
        return [
            "worker": 0, "namespace": .string(self.function.namespace.name), "function": .string(self.function.name),
            "revision": .string(self.revision), "state": .string(InstanceSnapshot.State.starting.rawValue),
            "since": .string(RFC3339.format(self.since)), "inFlight": 0, "runtime": "",
            "isolation": .string(isolation.level.name), "isolationMode": .string(isolation.mode.rawValue),
            "calls": .string(isolation.calls.rawValue), "missingLayers": [],
        ]
    }
}

internal import ApusCore
internal import ApusEngine
internal import ApusManifest
internal import ApusStore

/// A function whose instances the pool starts and stops: what that plans with, and the names that are told of it.
struct PoolDeployment: Sendable {
    var plan: PoolFunction
    var name: ResourceName
    var revision: String
    var labels: [String: String]
    /// The kind of device it asks for; nil takes any.
    var kind: String?
    var shard: Int
    var isolation: WorkerIsolation.Level
    /// What has to lie on this machine's disk before it starts.
    var weights: WeightSet?

    /// - Returns: nil for a function whose shard scales it.
    /// - Parameter links: of the slowest device that it may come to.
    init?(_ function: Catalogue.Function, shard: Int, links: DeviceLinks) {
        let manifest = function.manifest
        guard manifest.isPooled else { return nil }
        let gpu = manifest.resources.gpu
        let bytes = gpu.map { $0.memoryBytes } ?? 0
        let hostBytes = manifest.resources.hostBytes ?? bytes * Int64(gpu?.count ?? 1)
        self.plan = PoolFunction(
            function: function.id, generation: function.generation + function.restarts, deviceCount: gpu?.count ?? 0,
            deviceBytes: bytes, residueBytes: gpu?.residueBytes ?? 0, hostBytes: hostBytes,
            concurrency: manifest.concurrency * (manifest.batch?.maxSize ?? 1), min: manifest.scale.min,
            max: manifest.scale.max, weight: Double(manifest.scale.weight),
            deviceIdle: manifest.scale.deviceIdle ?? (gpu == nil ? manifest.scale.idle : nil),
            hostIdle: manifest.scale.hostIdle,
            wakePrior: Self.span(hostBytes, at: links.fromHost, after: Limits.PoolHost.wakeBase),
            coldPrior: Self.span(hostBytes, at: links.fromDisk, after: Limits.PoolHost.coldBase))
        if function.isPaused { self.plan.min = 0 }
        self.name = function.name
        self.revision = function.revision
        self.labels = manifest.labels
        self.kind = gpu?.kind
        self.shard = shard
        self.isolation = manifest.isolation == .standard && gpu != nil ? .gpu : manifest.isolation
        self.weights = function.weights
    }

    /// - Parameter base: what it takes beside its bytes.
    static func span(_ bytes: Int64, at rate: Int64, after base: TimeSpan = .zero) -> TimeSpan {
        TimeSpan(microseconds: base.microseconds + Int64(Double(bytes) / Double(max(1, rate)) * 1e6))
    }
}

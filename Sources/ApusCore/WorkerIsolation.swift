/// Behind what a worker runs: what its function asked for, and what this host could not give of it.
public struct WorkerIsolation: Sendable, Hashable {
    public enum Level: UInt32, Sendable, CaseIterable {
        case standard = 0
        /// For code that is not trusted at all: it does not run where a layer is missing.
        case hostile = 1
        /// With a device: its driver's part of the kernel is within reach, and no other tenant should share the device.
        case gpu = 2

        public var name: String {
            switch self {
            case .standard: "standard"
            case .hostile: "hostile"
            case .gpu: "gpu"
            }
        }
    }

    public var level: Level
    /// Layers by the names that `apus doctor` uses; empty when all hold.
    public var missingLayers: [String]

    public init(_ level: Level = .standard, missingLayers: [String] = []) {
        self.level = level
        self.missingLayers = missingLayers
    }

    /// `standard`, or `standard; missing="cpu-limit swap-limit"`.
    public var headerValue: String {
        if self.missingLayers.isEmpty { return self.level.name }
        return "\(self.level.name); missing=\"\(self.missingLayers.joined(separator: " "))\""
    }
}

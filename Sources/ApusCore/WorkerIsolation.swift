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

    /// Whose rights the sandbox was made with.
    public enum Mode: String, Sendable, CaseIterable {
        case root
        /// An ordinary user's, in a user namespace: `apus serve --rootless`.
        case rootless
    }

    /// What each invocation of a function with `reuse: never` has to itself.
    public enum Calls: String, Sendable, CaseIterable {
        case sandbox
        /// A process, in a sandbox that it shares with other invocations of the same function.
        case process
    }

    public var level: Level
    public var mode = Mode.root
    public var calls = Calls.sandbox
    /// Layers by the names that `apus doctor` uses; empty when all hold.
    public var missingLayers: [String]

    public init(_ level: Level = .standard, mode: Mode = .root, missingLayers: [String] = []) {
        self.level = level
        self.mode = mode
        self.missingLayers = missingLayers
    }

    /// `standard`, or `standard; mode=rootless; calls=process; missing="cpu-limit swap-limit"`.
    public var headerValue: String {
        var text = self.level.name
        if self.mode != .root { text += "; mode=\(self.mode.rawValue)" }
        if self.calls != .sandbox { text += "; calls=\(self.calls.rawValue)" }
        if !self.missingLayers.isEmpty { text += "; missing=\"\(self.missingLayers.joined(separator: " "))\"" }
        return text
    }
}

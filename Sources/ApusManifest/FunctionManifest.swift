public import ApusCore

/// A function as its manifest describes it: checked, defaults filled in.
public struct FunctionManifest: Sendable, Equatable {
    public enum Runtime: String, Sendable { case python3, native, exec, node, http, mcp }

    /// The reviewed set of system calls its sandbox allows.
    public enum Profile: String, Sendable { case python, native, exec, node }

    /// Whether a worker serves many invocations, those of one principal, or every one gets a fresh sandbox.
    public enum Reuse: String, Sendable { case function, principal, never }

    /// What is installed into the function's layer.
    public struct Dependencies: Sendable, Equatable {
        /// The requirements file, relative to the bundle.
        public var file: String
        /// Whether what the listed packages need is installed too.
        public var resolves: Bool
        /// Whether packages may be compiled or run code to install.
        public var allowsBuild: Bool
    }

    public struct Batch: Sendable, Equatable {
        public var maxSize: Int
        public var maxWait: TimeSpan
        public var maxBytes = Limits.Manifest.batchBytes
    }

    /// Bounds of one worker.
    public struct Resources: Sendable, Equatable {
        public var memoryBytes: Int64
        /// Thousandths of a CPU.
        public var cpuMillis: Int
        public var processes: Int
        public var scratchBytes: Int64
        /// What one sleeping instance takes of the host's memory; nil takes it for what it takes of its devices.
        public var hostBytes: Int64?
        public var gpu: GPU?
        /// What it needs of a server, where several share the work.
        public var workClass: WorkClass = .cpu
    }

    /// What each instance needs of accelerators.
    public struct GPU: Sendable, Equatable {
        /// On each device.
        public var memoryBytes: Int64
        /// What it leaves there while it sleeps.
        public var residueBytes: Int64
        public var count: Int
        /// As devices name their kind, in lower case; nil takes any.
        public var kind: String?
    }

    public struct Scale: Sendable, Equatable {
        public var min: Int
        public var max: Int
        /// How long a worker may have nothing to do before it is stopped.
        public var idle: TimeSpan
        /// How long an idle instance keeps its device, and the host's memory; nil lets the policy decide.
        public var deviceIdle: TimeSpan?
        public var hostIdle: TimeSpan?
        public var weight = 1
    }

    /// A file that a function needs and that is too large, or too much shared, for its bundle.
    public struct Weights: Sendable, Hashable {
        public enum Source: Sendable, Hashable {
            /// A path in the bundle.
            case file(String)
            case url(String)
        }

        public var name: String
        public var source: Source
        /// In lower case.
        public var sha256: String
        /// What it is at most; nil where nobody said.
        public var bytes: Int64?
    }

    public var name: ResourceName
    public var labels: [String: String]
    /// What it does, for people; named so because every value has a `description` of its own.
    public var about: String?
    public var runtime: Runtime
    /// `module:function` for `python3` and `node`; a path in the bundle with arguments for `native`, a command for `exec`: see ``command``; for
    /// `http` the file in the bundle that describes the operation; for `mcp` the command of a server, or the URL of one.
    public var handler: String
    /// The folder to bundle, relative to the manifest's file.
    public var source: String
    /// What makes the bundle's binary, run by whoever deploys, in the manifest's folder, before ``source`` is bundled.
    public var build: String?
    public var dependencies: Dependencies?
    public var environment: [String: String]
    /// Names of the secrets that its workers are given, each once.
    public var secrets: [String] = []
    /// Files that lie at `/weights` when its workers start.
    public var weights: [Weights] = []
    public var timeout: TimeSpan
    /// Invocations in flight per worker.
    public var concurrency: Int
    public var reuse: Reuse
    /// Nil when the handler takes one event at a time.
    public var batch: Batch?
    public var resources: Resources
    public var scale: Scale
    public var profile: Profile
    public var isolation: WorkerIsolation.Level
    /// What it may connect to; nil for `network: none`.
    public var network: NetworkAccess?
    /// What each invocation has to itself where ``reuse`` is `never`.
    public var calls: WorkerIsolation.Calls
    /// Those on topics, tables included.
    public var triggers: [TriggerManifest]
    public var httpTriggers: [HTTPTriggerManifest]
    public var scheduleTriggers: [ScheduleTriggerManifest]
    /// How agents call it, if they may. A function is a tool, a prompt or a resource, or none of them.
    public var tool: ToolManifest?
    public var prompt: PromptManifest?
    public var resource: ResourceManifest?
    /// The topics that `context.emit` may write as the manifest lists them; nil when it lists none. See ``emitTopics``.
    public var emits: [TopicName]?
    /// Where the fields stand in the file; no part of equality and of the JSON form.
    public var locations: SourceLocations

    /// Whether the pool starts and stops its instances: it runs on devices, or sleeps in the host's memory.
    public var isPooled: Bool { self.resources.gpu != nil || self.resources.hostBytes != nil }

    public var namespace: Namespace { self.name.namespace }

    /// The topics that `context.emit` may write: those listed, or else the reply topics.
    public var emitTopics: Set<TopicName> { Set(self.emits ?? self.triggers.compactMap(\.replyTo)) }

    /// The path of a trigger's field in the document: `spec.triggers[1]`.
    public func path(ofTrigger name: String) -> String { self.locations.path(ofTrigger: name) ?? "spec.triggers" }

    /// The handler of a `native` or `exec` function: the program, then its arguments, split at spaces.
    public var command: [String] { self.handler.split(separator: " ").map(String.init) }

    /// Every secret that it needs, each once with the field that names it: its workers' own, and those that only requests on their way
    /// out are given.
    public var secretUses: [(name: String, path: String)] {
        var uses = self.secrets.enumerated().map { (name: $1, path: "spec.secrets[\($0)]") }
        for (index, injection) in (self.network?.inject ?? []).enumerated()
        where !uses.contains(where: { $0.name == injection.secret }) {
            uses.append((injection.secret, "spec.sandbox.network.inject[\(index)].secret"))
        }
        return uses
    }

    /// The names of all triggers, of whatever kind.
    public var triggerNames: [String] {
        self.triggers.map(\.name) + self.httpTriggers.map(\.name) + self.scheduleTriggers.map(\.name)
    }

    /// The names of the triggers that say themselves that they are paused.
    public var pausedTriggers: [String] {
        self.triggers.filter(\.isPaused).map(\.name) + self.scheduleTriggers.filter(\.isPaused).map(\.name)
    }

    /// Topics that must exist, each with the path of the field that names it. A dead-letter topic counts too.
    public var referencedTopics: [(topic: TopicName, path: String)] {
        var topics: [(topic: TopicName, path: String)] = []
        for trigger in self.triggers {
            let path = self.path(ofTrigger: trigger.name)
            topics.append((trigger.topic, "\(path).topic"))
            if let replyTo = trigger.replyTo { topics.append((replyTo, "\(path).replyTo")) }
            if let deadLetter = trigger.deadLetter { topics.append((deadLetter, "\(path).deadLetter")) }
        }
        for (index, topic) in (self.emits ?? []).enumerated() { topics.append((topic, "spec.emits[\(index)]")) }
        return topics
    }
}

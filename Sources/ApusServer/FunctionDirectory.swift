internal import ApusCore
internal import ApusEngine

/// Which functions there are and which shard runs each: every loop holds a copy, so that an invocation is looked up without a hop.
struct FunctionDirectory: Sendable {
    struct Entry: Sendable {
        var id: FunctionID
        var shard: Int
        var timeout: TimeSpan
        /// The generation that made it: another function of the same name has another.
        var origin: UInt64 = 0
        var isPaused = false
        /// This server has not the class that it needs: others run it.
        var isElsewhere = false
        /// A person is asked before it begins as a tool: agents do not begin it otherwise.
        var isForApproval = false
        /// The devices that it needs: how many, and of which kind where it says so.
        var devices: (count: Int, kind: String?) = (0, nil)
        /// Names of secrets that its results to agents are looked through for.
        var secrets: [String] = []
        /// Those that bring nothing: all when the function is paused.
        var pausedTriggers: Set<String> = []
    }

    private var entries: [ResourceName: Entry] = [:]

    subscript(name: ResourceName) -> Entry? {
        get { self.entries[name] }
        set { self.entries[name] = newValue }
    }

    var count: Int { self.entries.count }

    /// A function's shard: the same at every start with the same number of shards.
    static func shard(of name: ResourceName, among count: Int) -> Int {
        let text = Array("\(name.namespace)/\(name.name)".utf8)
        return text.withUnsafeBytes { Murmur2.partition(of: $0, among: count) }
    }
}

extension ResourceName {
    /// What is answered to those who would begin something of a function that is paused.
    var isPausedError: ApusError {
        ApusError(
            .functionPaused,
            "the function '\(self)' is paused, or its trigger: `apus describe \(self.name)` shows it, `apus resume` ends it"
        )
    }
}

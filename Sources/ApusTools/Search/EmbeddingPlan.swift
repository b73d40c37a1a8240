public import ApusCore

/// Which tools of a namespace an embedder is given next, how many at once, and when it is left alone: a machine, whose actions are
/// performed by who drives it.
///
/// Nothing is embedded before somebody searches. A tool that fails is tried a few times, with growing rests in between for all, and then
/// left to the search by words. Another revision of the embedder may put meanings elsewhere: its vectors are compared with none of the
/// one before.
public struct EmbeddingPlan: Sendable {
    public enum Action: Sendable, Equatable {
        /// The answer comes back with `round`, which tells it from one of an earlier embedder.
        case embed(digest: String, text: String, round: UInt64)
        /// ``EmbeddingPlan/vectors`` are worth searching with now.
        case publish
        /// Nothing is embedded until then.
        case rest(until: Timestamp)
    }

    public private(set) var vectors = ToolVectors()
    private var embedder: String?
    private var isWanted = false
    private var round: UInt64 = 0
    private var tools: [Tool] = []
    /// Without a vector, the next last.
    private var waiting: [Tool] = []
    private var running: [String: Tool] = [:]
    private var attempts: [String: Int] = [:]
    private var failures = 0
    private var restsUntil = Timestamp.zero
    private var unpublished = 0

    public init() {}

    /// What the namespace offers now.
    /// - Parameter embedder: the revision of the embedder that is deployed; nil for none.
    public mutating func offer(_ tools: [Tool], embedder: String?, now: Timestamp) -> [Action] {
        var actions: [Action] = []
        if embedder != self.embedder {
            self.embedder = embedder
            self.round += 1
            if self.vectors.count > 0 { actions.append(.publish) }
            self.vectors = ToolVectors()
            self.running = [:]
            self.attempts = [:]
            (self.failures, self.restsUntil, self.unpublished) = (0, .zero, 0)
        }
        let digests = Set(tools.map(\.digest))
        self.tools = tools
        self.vectors.keep(digests)
        self.attempts = self.attempts.filter { digests.contains($0.key) }
        self.waiting = self.vectors.missing(of: tools).reversed().filter {
            self.running[$0.digest] == nil && self.attempts[$0.digest, default: 0] < Limits.Tools.embeddingAttempts
        }
        return actions + self.next(now: now)
    }

    /// Somebody searches here.
    public mutating func want(now: Timestamp) -> [Action] {
        guard !self.isWanted else { return [] }
        self.isWanted = true
        return self.next(now: now)
    }

    /// - Parameter vector: nil where the embedder failed, or answered something else.
    public mutating func answered(
        _ digest: String, _ vector: [Float]?, round: UInt64, now: Timestamp
    ) -> [Action] {
        guard round == self.round, let tool = self.running.removeValue(forKey: digest) else { return [] }
        if let vector, self.vectors.add(vector, for: tool) {
            self.failures = 0
            self.unpublished += 1
        } else {
            self.failed(tool, now: now)
        }
        return self.published() + self.next(now: now)
    }

    /// The time that ``Action/rest(until:)`` named has come.
    public mutating func due(now: Timestamp) -> [Action] { self.next(now: now) }

    private mutating func failed(_ tool: Tool, now: Timestamp) {
        self.attempts[tool.digest, default: 0] += 1
        if self.attempts[tool.digest, default: 0] < Limits.Tools.embeddingAttempts { self.waiting.insert(tool, at: 0) }
        let seconds = min(Int64(1) << Int64(min(self.failures, 16)), Limits.Tools.embeddingRestSeconds)
        self.failures += 1
        self.restsUntil = max(self.restsUntil, now + .seconds(seconds))
    }

    private mutating func published() -> [Action] {
        let isWhole = self.running.isEmpty && self.waiting.isEmpty
        guard self.unpublished >= Limits.Tools.embeddingsPublished || (isWhole && self.unpublished > 0) else { return [] }
        self.unpublished = 0
        return [.publish]
    }

    private mutating func next(now: Timestamp) -> [Action] {
        guard self.isWanted, self.embedder != nil, !self.waiting.isEmpty else { return [] }
        guard now >= self.restsUntil else { return [.rest(until: self.restsUntil)] }
        var actions: [Action] = []
        while self.running.count < Limits.Tools.embeddings, let tool = self.waiting.popLast() {
            // Two functions may offer the same thing under the same name in different versions.
            guard self.running.updateValue(tool, forKey: tool.digest) == nil else { continue }
            actions.append(.embed(digest: tool.digest, text: ToolVectors.text(of: tool), round: self.round))
        }
        return actions
    }
}

internal import ApusCore
internal import ApusJSON
internal import ApusLoop
internal import ApusSchema
internal import ApusTools

/// What one loop knows of tools: snapshots of the catalogs, schemas that were compiled, answers that take their time. On its loop.
final class ToolTable {
    private(set) var catalogs: [Namespace: ToolCatalog] = [:]
    /// By the digest of the tool.
    private var schemas: [String: ToolSchemas] = [:]
    var waiting: [ObjectIdentifier: ToolReply] = [:]
    var listeners: [ObjectIdentifier: ListenStream] = [:]
    /// How requests ended, for the metrics.
    var operations = OperationDurations()
    private var timer: LoopTimer?

    /// Takes what is deployed now and tells those who listen.
    func apply(_ update: ToolUpdate) {
        self.catalogs = update.catalogs
        let digests = Set(self.schemas.keys)
        let current = Set(update.catalogs.values.flatMap(\.digests))
        for digest in digests.subtracting(current) { self.schemas[digest] = nil }
        for listener in self.listeners.values { listener.changed(update) }
    }

    /// Compiled at the first call of a tool.
    func schemas(of tool: Tool) throws(SchemaError) -> ToolSchemas {
        if let known = self.schemas[tool.digest] { return known }
        let made = ToolSchemas(
            input: try CompiledSchema(parsing: tool.inputSchema),
            output: try tool.outputSchema.map { (text) throws(SchemaError) in try CompiledSchema(parsing: text) })
        self.schemas[tool.digest] = made
        return made
    }

    /// Keeps streams alive, and gives up what nobody comes back for.
    func watch(_ runtime: ShardRuntime) {
        guard self.timer == nil else { return }
        let timer = LoopTimer(runtime.loop) { [weak self] in self?.sweep(runtime) }
        timer.start(
            milliseconds: Limits.ToolEndpoint.sweepMilliseconds, repeating: Limits.ToolEndpoint.sweepMilliseconds)
        self.timer = timer
    }

    private func sweep(_ runtime: ShardRuntime) {
        let now = runtime.now
        for reply in Array(self.waiting.values) {
            reply.keepAlive(now: now)
            reply.giveUpIfForsaken(now: now)
        }
        for listener in Array(self.listeners.values) { listener.keepAlive(now: now) }
        if self.waiting.isEmpty, self.listeners.isEmpty { self.close() }
    }

    func close() {
        self.timer?.close()
        self.timer = nil
    }
}

struct ToolSchemas {
    var input: CompiledSchema
    var output: CompiledSchema?
}

/// The catalogs after a deploy, and what is different.
struct ToolUpdate: Sendable {
    var catalogs: [Namespace: ToolCatalog]
    var changes: [Namespace: ToolCatalogChange] = [:]
    /// URIs whose function has another revision now.
    var resources: [Namespace: Set<String>] = [:]
}

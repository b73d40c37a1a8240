internal import ApusCore
internal import ApusCrypto
internal import ApusTools

/// What is kept of one call of a tool: who asked for which, with what, and what became of it.
struct ToolAudit {
    private let journal: AuditJournal
    private let begun: Timestamp
    private var entry: AuditEntry
    private var origin: Origin?

    /// - Parameter name: as the caller said it; there may be no such tool.
    init(
        _ journal: AuditJournal, _ request: ToolRequest, _ trace: ToolTrace, name: String, _ arguments: ArraySlice<UInt8>,
        now: Timestamp
    ) {
        self.journal = journal
        self.begun = now
        self.entry = AuditEntry(
            .call, .refused, namespace: request.place.namespace, principal: request.caller.name, subject: name,
            arguments: Hex.encode(arguments.withUnsafeBytes { SHA256.hash($0) }),
            trace: trace.text ?? request.envelope.text(request.envelope.parameters.traceparent))
    }

    /// The tool that is meant. One that another tool calls is known by its own name.
    mutating func found(_ tool: Tool, invocation: String) {
        self.entry.subject = tool.name.text
        self.entry.digest = tool.digest
        self.entry.revision = tool.revision
        self.entry.invocation = invocation
    }

    /// The approval that the call waits for, or begins because of.
    mutating func concerns(approval: String) { self.entry.approval = approval }

    /// What became of it lies on disk.
    mutating func kept(_ file: ResultFile) {
        self.entry.resultBytes = Int64(file.size)
        self.entry.resultDigest = file.digest
    }

    /// It was answered by what an earlier call came to.
    mutating func answered(by invocation: String?, _ origin: Origin?) {
        if let invocation { self.entry.invocation = invocation }
        self.origin = origin
    }

    /// Where an answer comes from that no function gave now.
    enum Origin: String {
        /// A call with the same idempotency key.
        case repeated
        /// The tool's cache.
        case cached
    }

    func note(
        _ decision: AuditEntry.Decision, code: String?, bytes: Int, now: Timestamp,
        _ completion: @escaping @Sendable (Result<Void, ApusError>) -> Void
    ) {
        var entry = self.entry
        entry.decision = decision
        entry.code = code ?? self.origin?.rawValue
        entry.milliseconds = (now - self.begun).milliseconds
        if entry.resultDigest == nil { entry.resultBytes = Int64(bytes) }
        self.journal.note(entry, now: now, completion)
    }
}

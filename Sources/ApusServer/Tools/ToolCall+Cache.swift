internal import ApusCore
internal import ApusCrypto
internal import ApusManifest
internal import ApusTools
internal import Synchronization

/// Tools whose manifest says for how long a result answers the same call again.
extension ToolCall {
    /// What the result of this call depends on; nil for one that is run each time.
    private var cacheKey: [UInt8]? {
        guard case .tool(let tool) = self.target, let cache = tool.cache, self.answers.isEmpty else { return nil }
        let era = self.request.era == .modern ? "modern" : "legacy"
        let whose = cache.scope == .everyone ? "everyone" : "principal \(self.request.caller.name)"
        var bytes: [UInt8] = []
        for part in [
            Array("\(tool.function)".utf8), Array(tool.revision.utf8), Array(tool.digest.utf8), Array(era.utf8),
            Array(whose.utf8), CanonicalJSON.encode(self.data) ?? Array(self.data),
        ] {
            bytes.appendLittleEndian(UInt64(part.count))
            bytes += part
        }
        return SHA256.hash(bytes)
    }

    /// - Returns: whether the caller has its answer.
    func answerFromCache() -> Bool {
        guard let key = self.cacheKey,
            let result = self.endpoint.registry.cache.withLock({ $0.find(key, now: self.runtime.now) })
        else { return false }
        self.reply.audit?.answered(by: result.invocation, .cached)
        self.over()
        self.reply.finish(result.members, meta: Array(#""dev.apus/invocation":"\#(result.invocation)""#.utf8))
        return true
    }

    /// Keeps what is a whole result; what is linked is the caller's alone, and not for long.
    func keepInCache(_ members: [UInt8], of tool: Tool) {
        guard self.keptID == nil, !self.isLinked, let cache = tool.cache, let key = self.cacheKey,
            !members.suffix(ToolReply.errorMark.count).elementsEqual(ToolReply.errorMark)
        else { return }
        let result = ResultCache.Result(members: members, invocation: self.invocation)
        self.endpoint.registry.cache.withLock { $0.keep(result, for: key, until: self.runtime.now + cache.time) }
    }
}

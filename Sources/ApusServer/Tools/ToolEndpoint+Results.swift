internal import ApusCore
internal import ApusLoop
internal import ApusTools

/// Reading what was too large to be sent with a call.
extension ToolEndpoint {
    func readResult(_ uri: String, _ request: ToolRequest, _ reply: ToolReply) throws(RPCError) {
        let (results, now, owner, era) = (self.registry.results, self.runtime.now, request.owner, request.era)
        guard let (result, range) = results.find(uri, for: owner, now: now) else { throw Self.resourceNotFound(uri, era: era) }
        let left = result.until - now
        guard case .file(let file, let room) = result.body else {
            if case .memory(let data) = result.body { ResultPart(uri, range, of: ResultBytes(bytes: data), result.type).tell(reply, for: left) }
            return
        }
        reply.wait()
        // SAFETY: used on its loop only, inside `post`.
        nonisolated(unsafe) let answer = reply
        let isQueued = results.onDisk { [loop = self.runtime.loop, type = result.type, reading = room.reading()] in
            defer { withExtendedLifetime(reading) {} }
            do throws(ApusError) {
                let part = try ResultPart(uri, range, of: file, type)
                loop.post { part.tell(answer, for: left) }
            } catch { loop.post { answer.fail(RPCError(.unavailable, error.message)) } }
        }
        if !isQueued { reply.fail(RPCError(.unavailable, "too much waits for the server's disk: try again in a moment")) }
    }
}

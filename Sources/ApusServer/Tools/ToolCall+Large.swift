internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusLoop
internal import ApusManifest
internal import ApusTools

/// Results that go from the worker to the disk, without ever being here as a whole.
extension ToolCall {
    var takesParts: PartRule? {
        guard case .tool(let tool) = self.target, tool.remote == nil, tool.outputSchema == nil, !self.reply.isInner else { return nil }
        let inMemory = self.inMemory(tool)
        return { head, bytes in
            guard bytes > inMemory, let event = try? EventBlock.decode(head.bytes), let type = event["datacontenttype"] else { return false }
            return ResultSpool.takes(type)
        }
    }

    func onLarge(_ head: UnsafeRawBufferPointer, bytes: Int, _ flow: PartFlow) {
        guard !self.isOver, case .tool(let tool) = self.target, let type = (try? EventBlock.decode(head.bytes))?["datacontenttype"] else {
            return flow.end()
        }
        guard bytes <= tool.resultLimit else {
            flow.end()
            return self.failed(Self.tooLarge(bytes, tool))
        }
        self.feed = self.feed(type, bytes, flow)
    }

    /// Of a streamed result: one that is too large for memory goes on to the disk.
    func spill() {
        guard let flow, case .tool(let tool) = self.target, self.parts.count > self.inMemory(tool) else { return }
        guard let partType, ResultSpool.takes(partType) else {
            guard self.parts.count > Limits.resultBytes else { return }
            return self.failed(Failure(.resultTooLarge, "the parts of the result have more than \(Limits.resultBytes) bytes"))
        }
        let feed = self.feed(partType, Int(tool.resultLimit), flow)
        self.feed = feed
        feed.take(exchange(&self.parts, with: []), isCounted: false)
    }

    private func inMemory(_ tool: Tool) -> Int { max(Limits.ToolEndpoint.memoryResultBytes, Int(tool.maxResult)) }

    /// - Parameter bytes: at most.
    private func feed(_ type: String, _ bytes: Int, _ flow: PartFlow) -> ResultFeed {
        let (results, masks, owner, now) = (
            self.endpoint.registry.results, self.endpoint.mask(self.target.function).masks, self.request.owner, self.runtime.now
        )
        return ResultFeed(
            results, flow,
            onFailure: self.onLoop { (call, error: ApusError) in call.failed(Failure(error.code, error.message)) }
        ) { () throws(ApusError) in try ResultSpool(type, bytes: bytes, masks, in: results, for: owner, now: now) }
    }

    static func tooLarge(_ bytes: Int, _ tool: Tool) -> Failure {
        Failure(
            .resultTooLarge,
            "the result has \(bytes) bytes; at most \(tool.resultLimit) are allowed by the tool's resultLimit")
    }

    /// The attempt is over; its result is told once all of it is on disk.
    func finish(_ feed: ResultFeed) { feed.finish(self.onLoop { (call, finished) in call.tell(finished) }) }

    private func tell(_ finished: ResultSpool.Finished) {
        guard !self.isOver, case .tool(let tool) = self.target else { return }
        let now = self.runtime.now
        let uri = self.endpoint.registry.results.keep(
            finished.file, finished.room, type: finished.type, for: self.request.owner, until: now + tool.keepResult, now: now)
        let members = self.form(tool).members(size: finished.file.size, finished.type, at: uri, finished.ends)
        self.isLinked = true
        self.returned()
        self.reply.audit?.kept(finished.file)
        self.reply.finish(members, meta: self.meta + Array(#","dev.apus/sha256":"\#(finished.file.digest)""#.utf8))
    }

    /// What another thread says to this call.
    private func onLoop<Said: Sendable>(_ hear: @escaping @Sendable (ToolCall, Said) -> Void) -> @Sendable (Said) -> Void {
        // SAFETY: used on its loop only, inside `post`.
        nonisolated(unsafe) let call = self
        return { [loop = self.runtime.loop] said in loop.post { hear(call, said) } }
    }
}

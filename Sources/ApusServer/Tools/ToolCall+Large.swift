internal import ApusCore
internal import ApusEngine
internal import ApusManifest
internal import ApusTools

/// Results that go from the worker to the disk, without ever being here as a whole.
extension ToolCall {
    func takesParts(of head: UnsafeRawBufferPointer, bytes: Int) -> Bool {
        guard !self.isOver, case .tool(let tool) = self.target, tool.remote == nil, tool.outputSchema == nil, !self.reply.isInner,
            bytes > max(Limits.ToolEndpoint.memoryResultBytes, Int(tool.maxResult)),
            let event = try? EventBlock.decode(head.bytes), let type = event["datacontenttype"],
            ResultSpool.takes(type, first: event.data?.first)
        else { return false }
        guard bytes <= tool.resultLimit else {
            self.failed(Self.tooLarge(bytes, tool))
            return true
        }
        do throws(ApusError) {
            self.spool = try ResultSpool(
                type, bytes: bytes, self.endpoint.mask(self.target.function).masks, in: self.endpoint.registry.results, for: self.request.owner,
                now: self.runtime.now)
        } catch { self.failed(Failure(error.code, error.message)) }
        return true
    }

    static func tooLarge(_ bytes: Int, _ tool: Tool) -> Failure {
        Failure(
            .resultTooLarge,
            "the result has \(bytes) bytes; at most \(tool.resultLimit) are allowed by the tool's resultLimit")
    }

    func take(_ bytes: UnsafeRawBufferPointer, _ spool: ResultSpool) {
        do throws(ApusError) { try spool.take(Array(bytes)) } catch { self.failed(Failure(error.code, error.message)) }
    }

    func finish(_ spool: ResultSpool) {
        guard case .tool(let tool) = self.target else { return }
        do throws(ApusError) {
            let (file, room) = try spool.finish()
            let now = self.runtime.now
            let uri = self.endpoint.registry.results.keep(
                file, room, type: spool.type, for: self.request.owner, until: now + tool.keepResult, now: now)
            let members = try self.form(tool).members(of: file, spool.type, at: uri)
            self.isLinked = true
            self.returned()
            self.reply.audit?.kept(file)
            self.reply.finish(members, meta: self.meta + Array(#","dev.apus/sha256":"\#(file.digest)""#.utf8))
        } catch { self.failed(Failure(error.code, error.message)) }
    }
}

internal import ApusCore
internal import ApusTools

/// Reading what was too large to be sent with a call.
extension ToolEndpoint {
    func readResult(_ uri: String, _ request: ToolRequest, _ reply: ToolReply) throws(RPCError) {
        guard let (result, range) = self.registry.results.find(uri, for: request.owner, now: self.runtime.now) else {
            throw Self.resourceNotFound(uri, era: request.era)
        }
        let left = result.until - self.runtime.now
        switch result.body {
        case .memory(let data): self.answer(uri, range, of: ResultBytes(bytes: data), type: result.type, for: left, reply)
        case .file(let file, _):
            do throws(ApusError) { try self.answer(uri, range, of: file, type: result.type, for: left, reply) } catch {
                throw RPCError(.unavailable, error.message)
            }
        }
    }

    /// Says a part of a large result, and where what follows it is read.
    /// - Parameter left: how long it is kept here from now: clients keep it no longer.
    func answer<Source: ResultSource>(
        _ uri: String, _ range: ResultRange, of source: Source, type: String, for left: TimeSpan, _ reply: ToolReply
    ) throws(Source.Failure) {
        let isText = type.hasPrefix("text/") || type.hasPrefix("application/json") || type == "application/x-ndjson"
        let (bytes, place) = try range.part(of: source, isText: isText)
        // A part of JSON is text that no parser takes.
        let type = isText && bytes.count < source.size ? "text/plain" : type
        let members = Array(#""contents":["#.utf8) + ResultContent.resource(uri: uri, type: type, data: bytes) + [UInt8(ascii: "]")]
        var meta = #""dev.apus/size":\#(source.size)"#
        if place.upperBound < source.size {
            let (base, next) = (uri.prefix { $0 != "?" }, place.upperBound)
            let last = min(source.size, next + Limits.ToolEndpoint.resultPartBytes) - 1
            meta += #","dev.apus/next":"\#(base)?bytes=\#(next)-\#(last)""#
        }
        let time = min(Limits.ToolEndpoint.listMilliseconds, max(0, Int(left.milliseconds)))
        reply.finish(members, cache: CacheHint(ttlMilliseconds: time, isPublic: false), meta: Array(meta.utf8))
    }
}

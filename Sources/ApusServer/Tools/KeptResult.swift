internal import ApusCore
internal import ApusHTTP
internal import ApusLoop
internal import ApusManifest
internal import ApusStore
internal import ApusTools

/// The result of a call that lasts, as a resource of who called: it is kept as long as the invocation.
enum KeptResult {
    private static let prefix = "apus://invocations/"

    static func isOne(_ uri: String) -> Bool { uri.hasPrefix(Self.prefix) }

    static func address(of id: InvocationID) -> String { "\(Self.prefix)\(id)" }

    static func parse(_ uri: String) -> (id: InvocationID, range: ResultRange)? {
        let parts = uri.dropFirst(Self.prefix.count).split(
            separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard let id = parts.first.flatMap({ InvocationID(String($0)) }),
            let range = ResultRange(query: parts.count == 2 ? String(parts[1]) : nil)
        else { return nil }
        return (id, range)
    }

    /// On the store thread.
    /// - Returns: nil for what is not there, not over, or somebody else's: nobody learns which.
    static func read(
        _ id: InvocationID, _ server: Server, in namespace: Namespace, for principal: String
    ) throws(ApusError) -> (data: [UInt8], type: String)? {
        let row = try server.projection.query { (projection) throws(ApusError) in try projection.invocation(id) }
        guard let row, row.namespace == namespace.name, row.principal == principal, row.state == .succeeded,
            let event = try row.record(server.log)
        else { return nil }
        let type = event["datacontenttype"]
        let function = ResourceName(namespace, row.function)
        let secrets = function.flatMap { server.control.catalogue.functions[$0]?.manifest.secretUses.map(\.name) } ?? []
        guard let data = function.map({ ResultMask($0, secrets, server.vault).apply(type, event.data ?? []) }) ?? event.data
        else { return nil }
        do throws(ContentBlocks.Fault) {
            let blocks = try ResultContent.blocks(
                type: type, data: data, hasOutputSchema: false, name: id.description)
            return ToolResultForm.readable(blocks, type, data)
        } catch { return nil }
    }
}

extension ToolEndpoint {
    func readKept(_ uri: String, _ request: ToolRequest, _ reply: ToolReply) throws(RPCError) {
        guard let (id, range) = KeptResult.parse(uri) else { throw Self.resourceNotFound(uri, era: request.era) }
        let (server, loop) = (self.server, self.runtime.loop)
        let (namespace, principal, era) = (request.place.namespace, request.caller.name, request.era)
        reply.wait()
        // SAFETY: used on its loop only, inside `post`.
        nonisolated(unsafe) let answer = reply
        let isQueued = server.store.run {
            let found: (data: [UInt8], type: String)?
            do throws(ApusError) { found = try KeptResult.read(id, server, in: namespace, for: principal) } catch {
                return loop.post { answer.fail(RPCError(.unavailable, error.message)) }
            }
            loop.post {
                guard let found else { return answer.fail(Self.resourceNotFound(uri, era: era)) }
                ResultPart(uri, range, of: ResultBytes(bytes: found.data), found.type).tell(answer, for: nil)
            }
        }
        if !isQueued { reply.fail(RPCError(.unavailable, "too many queries wait: try again in a moment")) }
    }
}

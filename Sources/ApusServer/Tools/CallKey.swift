internal import ApusCore
internal import ApusCrypto
internal import ApusHTTP
internal import ApusJSON
internal import ApusTools

/// What a caller names a call by, so that it is run once: `apus.dev/idempotencyKey` in `_meta`, or the header `Idempotency-Key`.
struct CallKey {
    private let text: String?
    private let caller: String

    /// - Throws: for a key that is no text, and for two that differ.
    init(_ request: ToolRequest, _ reply: ToolReply) throws(RPCError) {
        var text = reply.exchange?.header(IdempotencyKey.header)
        if let value = request.envelope.parameters.idempotencyKey, value.kind != .null {
            guard let said = request.envelope.text(value) else {
                throw .invalidParams("`apus.dev/idempotencyKey` must be a string")
            }
            guard text == nil || text == said else {
                throw .invalidParams("the header \(IdempotencyKey.header) is not the key that `_meta` says")
            }
            text = said
        }
        self.text = text
        self.caller = "\(request.place.namespace)#\(request.caller.name)"
    }

    var isGiven: Bool { self.text != nil }

    /// Which of several versions is called: of one key the same.
    var draw: UInt64 {
        guard let text else { return .random(in: 0 ... .max) }
        let digest = SHA256.hash(Array("\(self.caller)#\(text)".utf8))
        return digest.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// - Throws: for a key that is none.
    func idempotencyKey(of tool: Tool, _ arguments: ArraySlice<UInt8>, _ request: ToolRequest) throws(RPCError)
        -> IdempotencyKey?
    {
        guard let text else { return nil }
        do throws(ApusError) {
            return try IdempotencyKey(
                text, principal: self.caller, scope: "call \(tool.function)",
                of: [Array(tool.name.text.utf8), CanonicalJSON.encode(arguments) ?? Array(arguments)])
        } catch { throw .invalidParams(error.message) }
    }
}

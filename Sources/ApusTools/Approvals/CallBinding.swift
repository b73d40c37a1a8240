internal import ApusCore
internal import ApusCrypto

/// What makes two calls the same to whoever approved one of them.
public enum CallBinding {
    /// - Parameter key: of a call that its caller named by one: what is approved is that call.
    /// - Returns: hexadecimal digits, the same for the same principal, tool, revision, arguments and key.
    public static func digest(
        _ principal: String, _ tool: Tool, _ arguments: ShownArguments, key: String? = nil
    ) -> String {
        var bytes: [UInt8] = []
        // Each with its length before it, so that no two lists make the same bytes.
        for part in [
            Array("apus approval 1".utf8), Array(tool.namespace.name.utf8), Array(principal.utf8),
            Array(tool.name.text.utf8), Array(tool.function.name.utf8), Array(tool.revision.utf8),
            Array(tool.digest.utf8), arguments.digest,
        ] + (key.map { [Array($0.utf8)] } ?? []) {
            bytes.appendLittleEndian(UInt32(part.count))
            bytes += part
        }
        return Hex.encode(SHA256.hash(bytes))
    }
}

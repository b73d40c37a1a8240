internal import ApusCore
internal import ApusCrypto

/// What makes two calls the same to whoever approved one of them.
public enum CallBinding {
    /// - Returns: hexadecimal digits, the same for the same principal, tool, revision and arguments.
    public static func digest(_ principal: String, _ tool: Tool, _ arguments: ShownArguments) -> String {
        var bytes: [UInt8] = []
        // Each with its length before it, so that no two lists make the same bytes.
        for part in [
            Array("apus approval 1".utf8), Array(tool.namespace.name.utf8), Array(principal.utf8),
            Array(tool.name.text.utf8), Array(tool.function.name.utf8), Array(tool.revision.utf8),
            Array(tool.digest.utf8), arguments.digest,
        ] {
            bytes.appendLittleEndian(UInt32(part.count))
            bytes += part
        }
        return Hex.encode(SHA256.hash(bytes))
    }
}

internal import ApusCore
internal import ApusCrypto
internal import ApusManifest
internal import ApusStore

/// `apus deploy --sign KEY.pem`: stands for what the tools of a deploy tell agents.
struct ToolSigner {
    /// Bytes of a file with a key.
    private static let most = 16 << 10

    private let key: SigningKey

    /// - Returns: nil without a path.
    init?(_ path: String?) throws {
        guard let path else { return nil }
        guard let key = SigningKey(pem: try DataArgument.readFile(path, limit: Self.most)) else {
            throw UsageError("'\(path)' holds no private key of Ed25519: make one with 'openssl genpkey -algorithm ed25519 -out \(path)'")
        }
        self.key = key
    }

    /// The same manifest with a signature of what its tool says, where it has one.
    func signed(_ function: FunctionManifest) throws(ApusError) -> FunctionManifest {
        guard let statement = function.toolStatement else { return function }
        guard let value = self.key.sign(statement) else {
            throw ApusError(.internal, "the tool of '\(function.name)' cannot be signed")
        }
        var function = function
        function.tool?.signature = .init(key: Base64URL.encode(self.key.publicKey), value: Base64URL.encode(value))
        return function
    }
}

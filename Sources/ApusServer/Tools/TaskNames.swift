internal import ApusCore
internal import ApusCrypto

/// The ids of tasks: that of the invocation, and a code that only who began it can have been told. Any server with the same keys knows them.
struct TaskNames: Sendable {
    /// Those that are taken, the last of which writes.
    private let keys: [[UInt8]]

    init(_ keys: [[UInt8]]) {
        precondition(!keys.isEmpty, "a server has a key")
        self.keys = keys
    }

    func name(_ id: InvocationID, of principal: String, in namespace: Namespace) -> String {
        "\(id)\(Hex.encode(Self.code(id, principal, namespace, self.keys[self.keys.count - 1])))"
    }

    /// - Returns: nil for what is no task, and for somebody else's.
    func invocation(_ name: String, of principal: String, in namespace: Namespace) -> InvocationID? {
        guard name.utf8.count == Self.idDigits + 2 * Self.codeBytes,
            let id = InvocationID(String(name.prefix(Self.idDigits)))
        else { return nil }
        let told = Array(name.utf8.dropFirst(Self.idDigits))
        let isOne = self.keys.contains { key in
            ConstantTime.areEqual(Array(Hex.encode(Self.code(id, principal, namespace, key)).utf8), told)
        }
        return isOne ? id : nil
    }

    private static let idDigits = 32
    private static let codeBytes = 16

    private static func code(
        _ id: InvocationID, _ principal: String, _ namespace: Namespace, _ key: [UInt8]
    ) -> [UInt8] {
        Array(HMAC.sha256(Array("task 1\n\(id)\n\(namespace)\n\(principal)".utf8), key: key).prefix(Self.codeBytes))
    }
}

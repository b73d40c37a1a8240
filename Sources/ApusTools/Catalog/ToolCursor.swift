internal import ApusCore
internal import ApusCrypto

/// Where a walk through a list goes on: behind a key, not at a number, so that deploys on the way neither repeat nor hide what they do
/// not touch. A code binds it to the list, the server and the caller it was made for.
struct ToolCursor: Equatable {
    /// What it was made for.
    struct Purpose {
        let list: ToolList
        let namespace: Namespace
        let server: String?
        let caller: String
    }

    /// Of the snapshot that the walk began in.
    let snapshot: UInt64
    let key: String

    private static let codeBytes = 16

    func encoded(for purpose: Purpose, secret: [UInt8]) -> String {
        var body: [UInt8] = []
        body.reserveCapacity(8 + self.key.utf8.count)
        Self.append(self.snapshot, to: &body)
        body.append(contentsOf: self.key.utf8)
        return Base64.encode(Self.code(body, purpose, secret) + body)
    }

    /// - Returns: nil for what was not made here, or for something else.
    init?(_ text: String, for purpose: Purpose, secret: [UInt8]) {
        guard text.utf8.count <= Limits.Tools.cursorBytes, let bytes = Base64.decode(text),
            bytes.count >= Self.codeBytes + 8
        else { return nil }
        let body = Array(bytes[Self.codeBytes...])
        guard ConstantTime.areEqual(Array(bytes[..<Self.codeBytes]), Self.code(body, purpose, secret)) else {
            return nil
        }
        guard let key = String(validating: body[8...], as: UTF8.self) else { return nil }
        self.snapshot = body[..<8].reduce(0) { $0 << 8 | UInt64($1) }
        self.key = key
    }

    init(snapshot: UInt64, key: String) {
        self.snapshot = snapshot
        self.key = key
    }

    private static func append(_ number: UInt64, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
    }

    /// Lengths stand before what they measure, so that no two purposes write the same bytes.
    private static func code(_ body: [UInt8], _ purpose: Purpose, _ secret: [UInt8]) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(Self.usualBytes)
        func append(_ part: String) {
            Self.append(UInt64(part.utf8.count), to: &text)
            text.append(contentsOf: part.utf8)
        }
        append(purpose.list.rawValue)
        append(purpose.namespace.name)
        append(purpose.server ?? "/")
        append(purpose.caller)
        text.append(contentsOf: body)
        return Array(HMAC.sha256(text, key: secret).prefix(Self.codeBytes))
    }

    /// Room for what a code is of.
    private static let usualBytes = 256
}

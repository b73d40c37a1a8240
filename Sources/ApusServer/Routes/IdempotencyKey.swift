internal import ApusCore
internal import ApusCrypto
internal import ApusHTTP

/// The header `Idempotency-Key`: a request that was accepted under the same key is answered the same and not accepted again.
struct IdempotencyKey: Sendable, Equatable {
    static let header = "Idempotency-Key"

    private let key: [UInt8]
    private let fingerprint: [UInt8]
    private let kept: TimeSpan

    /// - Parameters:
    ///   - principal: whose key it is: others may use the same text.
    ///   - scope: what the request is sent to.
    /// - Returns: nil for a request without one.
    /// - Throws: `invalid_argument` for a key that is none.
    init?(_ exchange: HTTPExchange, principal: String, scope: String) throws(ApusError) {
        guard let text = exchange.header(Self.header) else { return nil }
        let value = try Self.value(text)
        self.key = Self.digest([principal, scope, value].map { Array($0.utf8) })
        self.kept = Limits.Server.idempotencyWindow
        // The rest of the head says who connects how, which a repetition may do differently.
        let told = exchange.headers.filter {
            $0.name.lowercased().hasPrefix("ce-") || Self.told.contains($0.name.lowercased())
        }
        self.fingerprint = Self.digest(
            told.map { "\($0.name.lowercased()): \($0.value)" }.sorted().map { Array($0.utf8) } + [exchange.body])
    }

    /// The key of a call of a tool: `_meta` has no head to tell apart.
    /// - Parameter parts: what a repetition must say the same.
    /// - Throws: `invalid_argument` for a key that is none.
    init(_ text: String, principal: String, scope: String, of parts: [[UInt8]]) throws(ApusError) {
        let value = try Self.value(text)
        self.key = Self.digest([principal, scope, value].map { Array($0.utf8) })
        self.fingerprint = Self.digest(parts)
        self.kept = Limits.Server.idempotencyWindow
    }

    /// The key of the one call that an acceptance lets begin.
    /// - Parameters:
    ///   - acceptance: what names it: a state that a client was given, an approval that is kept.
    ///   - kept: as long as it could come again.
    init(acceptance: [UInt8], principal: String, kept: TimeSpan) {
        self.key = Self.digest([Array("apus acceptance 1".utf8), Array(principal.utf8), acceptance])
        self.fingerprint = Self.digest([acceptance])
        self.kept = kept
    }

    private static let told: Set<String> = ["content-type", "apus-key"]

    /// A key as it is, or as a string of structured fields: in quotes.
    private static func value(_ text: String) throws(ApusError) -> String {
        var value = text[...]
        if value.count >= 2, value.hasPrefix("\""), value.hasSuffix("\"") { value = value.dropFirst().dropLast() }
        guard (1...Limits.Server.idempotencyKeyBytes).contains(value.utf8.count),
            value.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "\"") })
        else {
            throw ApusError(
                .invalidArgument,
                "the \(Self.header) is no key: 1 to \(Limits.Server.idempotencyKeyBytes) visible ASCII characters are")
        }
        return String(value)
    }

    /// Lengths first, so that no two different lists are the same bytes.
    private static func digest(_ parts: [[UInt8]]) -> [UInt8] {
        var bytes: [UInt8] = []
        for part in parts {
            bytes.appendLittleEndian(UInt64(part.count))
            bytes += part
        }
        return SHA256.hash(bytes)
    }

    /// What others are bound to it by.
    var name: String { Hex.encode(self.key) }

    func once(now: Timestamp) -> LogBatch.Once {
        LogBatch.Once(key: self.key, fingerprint: self.fingerprint, keptUntil: now + self.kept)
    }
}

public import ApusCore
public import ApusEngine

/// Reading back what was written under these keys.
extension LedgerKey {
    /// The partition that a key of this prefix names.
    public static func partition(of key: [UInt8], prefix: [UInt8]) -> Int? {
        guard key.starts(with: prefix) else { return nil }
        return key.withUnsafeBytes { decimal($0[prefix.count...]) }
    }

    /// - Throws: `log_damaged` when the bytes are no ledger entry, `log_format` when a newer server wrote them.
    public static func decode(_ bytes: [UInt8]) throws(ApusError) -> LedgerState {
        do throws(LedgerStateError) {
            return try LedgerState(decoding: bytes)
        } catch {
            if case .version(let version) = error {
                throw ApusError(
                    .logFormat,
                    "an entry of the delivery ledger has version \(version), unknown to this server: use a newer apus"
                )
            }
            throw ApusError(
                .logDamaged, "an entry of the delivery ledger cannot be read: restore the data directory from a backup",
                cause: error)
        }
    }
}

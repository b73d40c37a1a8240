public import ApusCore
internal import ApusEngine

/// The keys of the ledger's entries on the log: `namespace/function/trigger/generation/partition`, ASCII.
public enum LedgerKey {
    /// The start of the keys of all partitions of a trigger.
    public static func prefix(function: ResourceName, trigger: String, generation: UInt64) -> [UInt8] {
        Array("\(function.namespace)/\(function.name)/\(trigger)/\(generation)/".utf8)
    }

    public static func key(prefix: [UInt8], partition: Int) -> [UInt8] {
        var key = prefix
        appendDecimal(partition, to: &key)
        return key
    }

    /// The partition that a key of this prefix names.
    public static func partition(of key: [UInt8], prefix: [UInt8]) -> Int? {
        guard key.starts(with: prefix) else { return nil }
        return key.withUnsafeBytes { decimal($0[prefix.count...]) }
    }

    /// - Throws: `log_damaged` when the bytes are no ledger entry, `log_format` when a newer server wrote them.
    static func decode(_ bytes: [UInt8]) throws(ApusError) -> LedgerState {
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

/// The keys of the ledger's entries on the log: `namespace/function/trigger/generation/partition`, ASCII.
///
/// The generation is the one that made the trigger, so that one that is deleted and made again finds nothing.
public enum LedgerKey {
    /// The start of the keys of all partitions of a trigger.
    public static func prefix(function: ResourceName, trigger: String, generation: UInt64) -> [UInt8] {
        Array("\(function.namespace)/\(function.name)/\(trigger)/\(generation)/".utf8)
    }

    /// The same for a replay of a trigger. The name holds a dot, so that no trigger has it.
    public static func replayPrefix(function: ResourceName, trigger: String, number: UInt64) -> [UInt8] {
        Self.prefix(function: function, trigger: "\(trigger).replay", generation: number)
    }

    public static func key(prefix: [UInt8], partition: Int) -> [UInt8] { prefix + Array(String(partition).utf8) }
}

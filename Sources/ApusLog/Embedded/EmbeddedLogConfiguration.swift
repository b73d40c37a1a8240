public import ApusCore
internal import Glibc

/// How the embedded log keeps its promises, and its bounds.
public struct EmbeddedLogConfiguration: Sendable {
    public enum Durability: String, Sendable, CaseIterable {
        /// What was acknowledged survives a power loss.
        case fsync
        /// What was acknowledged survives `kill -9`; a power loss may cost the last
        /// ``EmbeddedLogConfiguration/syncInterval``, or damage the file, which the next start finds out.
        case process
    }

    public var durability: Durability = .fsync
    /// How large the file may become. Address space, not disk. It may grow from start to start, never under what is
    /// used.
    public var mapBytes = Limits.Log.mapBytes
    /// Bytes of the file system left free for others.
    public var diskFloorBytes = Limits.Log.diskFloorBytes
    /// Tables of partitions; a partition of a compacted topic takes two.
    public var tables = Limits.Log.tables
    /// Reads under way at one moment.
    public var readers = Limits.Log.readers
    /// What producers may have waiting for the writer; settling may have as much again.
    public var queueBytes = Limits.Log.queueBytes
    public var queueBatches = Limits.Log.queueBatches
    /// How often retention by time looks for what is due.
    public var maintenanceInterval = TimeSpan.seconds(1)
    public var maintenanceStepRecords = Limits.Log.maintenanceStepRecords
    /// How long a tombstone stays on a compacted topic without a retention time of its own.
    public var tombstoneTime = Limits.Log.tombstoneTime
    /// Keys that are known for a while; above it the oldest are forgotten.
    public var keys = Limits.Log.keys
    /// A copy that goes no step further for so long is ended: what it makes the log keep costs room.
    public var copyStall = TimeSpan.milliseconds(Limits.Log.copyStallMilliseconds)
    /// How often `process` durability brings everything to the disk.
    public var syncInterval = TimeSpan.seconds(1)
    /// Names this start of the machine: when it changed without a clean close, the file is checked whole.
    public var bootID: String
    /// Walks the whole file at the start, whatever its size and history.
    public var checksWholeFile = false

    public init(bootID: String = EmbeddedLogConfiguration.systemBootID()) { self.bootID = bootID }

    /// The kernel's own name of this start; `unknown` where it gives none.
    public static func systemBootID() -> String {
        let descriptor = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "unknown" }
        defer { close(descriptor) }
        let bytes = [UInt8](unsafeUninitializedCapacity: 64) { buffer, count in
            count = max(0, read(descriptor, buffer.baseAddress, 64))
        }
        return String(decoding: bytes.prefix { $0 > 32 }, as: UTF8.self)
    }
}

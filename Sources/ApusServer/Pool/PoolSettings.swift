internal import ApusCore
public import ApusEngine
internal import Glibc

/// What the pool of a server is given.
public struct PoolSettings: Sendable {
    /// Bytes of the host's memory for sleeping instances; nil takes a part of what the machine has.
    public var hostMemory: Int64?
    /// Devices that are declared and not there.
    public var simulated: [DeviceDescription] = []

    public init() {}

    var hostBytes: Int64 {
        let pages = Int64(max(0, sysconf(Int32(_SC_PHYS_PAGES))))
        return self.hostMemory ?? pages * Int64(sysconf(Int32(_SC_PAGESIZE))) / Limits.PoolHost.hostMemoryParts
    }

    /// A simulated device.
    /// - Parameter gigabytes: a second, on its link to the host; nil takes what is usual.
    public static func simulated(_ kind: String, memory: Int64, gigabytes: Double?, number: Int) -> DeviceDescription {
        var links = DeviceLinks()
        if let gigabytes {
            links.fromHost = Int64(gigabytes * 1e9)
            links.toHost = links.fromHost
            links.fromDisk = min(links.fromDisk, links.fromHost)
        }
        return DeviceDescription(
            id: "simulated-\(number)", kind: kind.lowercased(), memoryBytes: memory, links: links, isSimulated: true)
    }
}

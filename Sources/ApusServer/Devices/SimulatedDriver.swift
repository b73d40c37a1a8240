internal import ApusCore
internal import ApusEngine
internal import Synchronization

/// Devices that are declared. What is in use of them is what instances were told to hold.
final class SimulatedDriver: DeviceDriver, Sendable {
    private let devices: [FoundDevice]
    /// Bytes of each device, by instance.
    private let held = Mutex<[InstanceID: (devices: [Int], bytes: Int64)]>([:])

    init(_ declared: [SimulatedDevices]) {
        var devices: [FoundDevice] = []
        var numbers: [String: Int] = [:]
        for entry in declared {
            for _ in 0..<entry.count where devices.count < Limits.Devices.all {
                let number = numbers[entry.kind, default: 0]
                numbers[entry.kind] = number + 1
                let description = DeviceDescription(
                    id: "simulated-\(entry.kind)-\(number)", kind: entry.kind, memoryBytes: entry.memoryBytes,
                    links: entry.links, isSimulated: true)
                devices.append(FoundDevice(description: description, name: "simulated \(entry.kind)", driver: ""))
            }
        }
        self.devices = devices
    }

    func inventory() -> [FoundDevice] { self.devices }

    /// An instance holds so many bytes on each of these devices from now on; none lets go. From any thread.
    func hold(_ instance: InstanceID, _ bytes: Int64, on places: [Int]) {
        self.held.withLock { held in
            held[instance] = bytes > 0 && !places.isEmpty ? (places, bytes) : nil
        }
    }

    func read() -> [DeviceReading] {
        var used = [Int64](repeating: 0, count: self.devices.count)
        self.held.withLock { held in
            for (places, bytes) in held.values {
                for place in places where used.indices.contains(place) { used[place] += bytes }
            }
        }
        // Everything is an instance's own: who is told apart by pid elsewhere is known here.
        return used.map { .used($0, [DeviceProcess(pid: 0, bytes: $0)]) }
    }

    func events() -> [DeviceEvent] { [] }
}

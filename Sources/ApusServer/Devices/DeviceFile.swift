internal import ApusCore
internal import ApusEngine
internal import ApusJSON
internal import ApusStore
internal import Glibc

/// What operators and errors said of this host's devices, kept beside the log: it belongs to the machine, not to what is deployed.
struct DeviceFile {
    let path: String
    private static let bytesMax = 1 << 20

    /// - Throws: `internal` or `disk_full`.
    func write(_ devices: [DeviceRegister.Device]) throws(ApusError) {
        let items = devices.compactMap { device -> JSONValue? in
            var item: JSONValue = ["id": .string(device.found.description.id)]
            switch device.health {
            case .working, .lost: return nil
            case .draining: item["health"] = "draining"
            case .quarantined(let reason):
                item["health"] = "quarantined"
                item["reason"] = .string(reason)
            }
            return item
        }
        let text = JSONValue.array(items).encoded()
        let descriptor = open("\(self.path).new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw self.failure("written") }
        let count = text.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        let isSynced = fsync(descriptor) == 0
        close(descriptor)
        guard count == text.count, isSynced, rename("\(self.path).new", self.path) == 0 else { throw self.failure("written") }
    }

    /// Empty where nothing was said.
    /// - Throws: `internal` where something was, and it cannot be read.
    func read() throws(ApusError) -> [(id: String, health: DeviceLedger.Health)] {
        let descriptor = open(self.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else {
            if errno == ENOENT { return [] }
            throw self.failure("read")
        }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: Self.bytesMax)
        let count = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
        guard count >= 0 else { throw self.failure("read") }
        let items: [JSONValue]?
        do { items = try JSONValue.parse(Array(bytes.prefix(count))).array } catch { items = nil }
        guard let items else { throw ApusError(.internal, "\(self.path) is no list of devices") }
        return items.compactMap { item in
            guard let id = item["id"]?.string else { return nil }
            switch item["health"]?.string {
            case "draining": return (id, .draining)
            case "quarantined": return (id, .quarantined(item["reason"]?.string ?? ""))
            default: return nil
            }
        }
    }

    private func failure(_ what: String) -> ApusError {
        ApusError(
            errno == ENOSPC ? .diskFull : .internal,
            "\(self.path) cannot be \(what): \(String(cString: strerror(errno)))")
    }
}

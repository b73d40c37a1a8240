internal import ApusCore
internal import ApusEngine
internal import CShims

/// NVIDIA's driver through its management library, which is looked for at run time.
final class NVMLDriver: DeviceDriver {
    private let library: OpaquePointer
    private var cards: [UInt32] = []
    private let version: String
    private static let lost: Int32 = 15

    /// - Throws: `not_found` without the library, `internal` when the driver refuses.
    init(library name: String) throws(ApusError) {
        var opened: OpaquePointer?
        var message = [CChar](repeating: 0, count: 256)
        let code = apus_nvml_open(name, &opened, &message, message.count)
        guard code == 0, let opened else {
            let text = Self.text(message)
            throw ApusError(code == -2 ? .internal : .notFound, "no device of NVIDIA's is used: \(text)")
        }
        self.library = opened
        var version = [CChar](repeating: 0, count: 96)
        apus_nvml_version(opened, &version, version.count)
        self.version = Self.text(version)
    }

    deinit { apus_nvml_close(self.library) }

    func inventory() throws(ApusError) -> [FoundDevice] {
        var found = [apus_nvml_device](repeating: apus_nvml_device(), count: Limits.Devices.all)
        let count = apus_nvml_devices(self.library, &found, CInt(found.count))
        guard count >= 0 else {
            throw ApusError(.internal, "the driver does not list its devices: \(self.text(count))")
        }
        let devices = found.prefix(Int(count))
        self.cards = devices.map(\.card)
        return devices.map { device in
            let name = Self.text(of: device.name)
            let description = DeviceDescription(
                id: Self.text(of: device.uuid), kind: DeviceKind.of(name), memoryBytes: Int64(clamping: device.memory),
                links: DeviceKind.links(generation: device.link_generation, width: device.link_width))
            return FoundDevice(
                description: description, name: name, driver: self.version, node: Int(device.minor),
                isPart: device.is_part != 0)
        }
    }

    func read() -> [DeviceReading] { self.cards.indices.map { self.read($0) } }

    private func read(_ place: Int) -> DeviceReading {
        var used: UInt64 = 0
        let code = apus_nvml_used(self.library, CInt(place), &used)
        if code == -Self.lost { return .lost(self.text(code)) }
        guard code == 0 else { return .unknown(self.text(code)) }
        var processes = [apus_nvml_process](repeating: apus_nvml_process(), count: Limits.Devices.processes)
        let count = apus_nvml_processes(self.library, CInt(place), &processes, CInt(processes.count))
        // Memory without owners is nobody's, and counts for the device.
        let owners = processes.prefix(Int(max(0, count))).map { process in
            DeviceProcess(
                pid: Int32(clamping: process.pid),
                bytes: process.bytes == .max ? nil : Int64(clamping: process.bytes))
        }
        return .used(Int64(clamping: used), owners)
    }

    func events() -> [DeviceEvent] {
        var events: [DeviceEvent] = []
        var event = apus_nvml_event()
        // More than so many at once say nothing more.
        while events.count < Limits.Devices.events, apus_nvml_wait(self.library, 0, &event) == 1 {
            let places = self.cards.indices.filter { self.cards[$0] == event.card }
            let kind: DeviceEvent.Kind =
                switch event.type {
                case UInt64(APUS_NVML_EVENT_ECC): .memory
                case UInt64(APUS_NVML_EVENT_UNAVAILABLE): .unavailable
                default: .xid(event.data)
                }
            events.append(DeviceEvent(devices: places, kind: kind))
        }
        return events
    }

    private func text(_ code: CInt) -> String { String(cString: apus_nvml_text(self.library, code)) }

    private static func text(_ bytes: [CChar]) -> String {
        String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func text<Characters>(of characters: Characters) -> String {
        withUnsafeBytes(of: characters) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}

/// What is made of a maker's words.
enum DeviceKind {
    /// `h100` of `NVIDIA H100 80GB HBM3`, `rtx4090` of `NVIDIA GeForce RTX 4090`, `a100-1g.10gb` of a part of an A100.
    static func of(_ name: String) -> String {
        let maker: Set<String> = ["nvidia", "tesla", "geforce", "quadro"]
        let words = name.lowercased().split(separator: " ").map(String.init).filter { !maker.contains($0) }
        guard let first = words.first else { return "unknown" }
        var kind = first
        if !first.contains(where: \.isNumber), words.count > 1 { kind += words[1] }
        kind = String(kind.prefix { $0 != "-" })
        if let mark = words.firstIndex(of: "mig"), words.indices.contains(mark + 1) { kind += "-\(words[mark + 1])" }
        return kind
    }

    /// What a link of PCI Express gives a copy of pinned memory: about seven eighths of its lanes. The disk is not known.
    static func links(generation: UInt32, width: UInt32) -> DeviceLinks {
        let lanes: [UInt32: Int64] = [
            1: 250_000_000, 2: 500_000_000, 3: 985_000_000, 4: 1_969_000_000, 5: 3_938_000_000, 6: 7_563_000_000,
        ]
        guard let lane = lanes[generation], width > 0 else { return DeviceLinks() }
        let rate = lane * Int64(min(width, 32)) / 8 * 7
        return DeviceLinks(fromHost: rate, toHost: rate)
    }
}

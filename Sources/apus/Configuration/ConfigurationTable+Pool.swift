internal import ApusCore
internal import ApusEngine
internal import ApusManifest
internal import ApusServer

extension ConfigurationTable {
    static let pool: [ConfigurationField] = [
        ConfigurationField(
            "pool.hostMemory", .bytes(0...(1 << 46)),
            "Bytes of this host's memory for models that sleep; what does not fit is stopped instead.", default: "4Gi"
        ) { $0.server.pool.hostMemory = $1.integer },
        ConfigurationField(
            "pool.prices", .pairs(max: Limits.Devices.kinds),
            "What things cost an hour: a device by its kind, hostGiB a GiB of memory, cpu a processor; and the currency they are in: "
                + "{h100: 2.50, hostGiB: 0.004, cpu: 0.03, currency: EUR}. Without a price a part costs nothing.",
            default: "{}"
        ) { options, value throws(SettingRefusal) in options.server.pool.prices = try Self.prices(value.pairs) },
        ConfigurationField(
            "pool.record", .bytes(0...(1 << 32)),
            "Bytes of the file pool.record in the data directory, in which the pool writes what it is told and what it decides, from the "
                + "server's start until it is full; `apus simulate --replay` decides it again. 0 writes none.",
            default: "0"
        ) { $0.server.pool.recordBytes = Int($1.integer) },
        ConfigurationField(
            "pool.devices.discover", .choice(["auto", "none"]),
            "auto looks for devices of NVIDIA's driver, and finds none where there is no driver; none does not look.",
            default: "auto"
        ) { $0.server.pool.discovers = $1.text == "auto" },
        ConfigurationField(
            "pool.devices.library", .text,
            "The driver's library that is asked (NVML), by name or path.", default: "libnvidia-ml.so.1"
        ) { $0.server.pool.library = $1.text },
        ConfigurationField(
            "pool.devices.simulate",
            .records(Self.simulated, required: ["kind", "memory"], max: Limits.Devices.simulated),
            "Devices that are not there and are treated as if they were, for trials: [{kind: h100, memory: 80Gi, count: 2}]. Of each may "
                + "be said how fast bytes move, a second: hostToDevice, deviceToHost, disk. Every figure of them says simulated.",
            default: "[]"
        ) { $0.server.pool.simulated = $1.records.map(Self.simulated) },
    ]

    private static let simulated: [Setting] = [
        Setting("kind", .text, "What functions ask for, such as h100.", default: nil),
        Setting("memory", .bytes((1 << 20)...(1 << 46)), "Bytes of its memory.", default: nil),
        Setting("count", .integer(1...Int64(Limits.Devices.each)), "How many there are.", default: "1"),
        Setting("hostToDevice", .bytes((1 << 20)...(1 << 46)), "Bytes a second that come to it.", default: nil),
        Setting("deviceToHost", .bytes((1 << 20)...(1 << 46)), "Bytes a second that leave it.", default: nil),
        Setting("disk", .bytes((1 << 20)...(1 << 46)), "Bytes a second that the disk gives.", default: nil),
    ]

    private static func simulated(_ record: [String: SettingValue]) -> SimulatedDevices {
        var devices = SimulatedDevices(
            kind: (record["kind"]?.text ?? "").lowercased(), memoryBytes: record["memory"]?.integer ?? 0,
            count: Int(record["count"]?.integer ?? 1))
        if let rate = record["hostToDevice"]?.integer { devices.links.fromHost = rate }
        if let rate = record["deviceToHost"]?.integer { devices.links.toHost = rate }
        if let rate = record["disk"]?.integer { devices.links.fromDisk = rate }
        return devices
    }

    private static func prices(_ pairs: [String: String]) throws(SettingRefusal) -> Prices {
        var prices = Prices()
        for (name, text) in pairs {
            if name == "currency" {
                guard !text.isEmpty, text.utf8.count <= 8 else { throw SettingRefusal("a currency such as USD") }
                prices.currency = text
                continue
            }
            guard let price = Double(text), price.isFinite, (0...1e9).contains(price) else {
                throw SettingRefusal("a price from 0 on for '\(name)', such as 2.50")
            }
            switch name {
            case "hostGiB": prices.host = price
            case "cpu": prices.processor = price
            default: prices.devices[name.lowercased()] = price
            }
        }
        return prices
    }
}

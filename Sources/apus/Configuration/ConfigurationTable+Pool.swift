internal import ApusCore
internal import ApusEngine
internal import ApusManifest
internal import ApusServer

extension ConfigurationTable {
    static let pool: [ConfigurationField] = [
        ConfigurationField(
            "pool.hostMemory", .bytes((1 << 20)...(1 << 46)),
            "Memory of this machine that sleeping instances of functions may take together. Half of it unless said otherwise.",
            default: nil
        ) { $0.server.pool.hostMemory = $1.integer },
        ConfigurationField(
            "pool.devices.simulate", .texts(max: 1_024),
            "Devices that are declared and not there, to try functions on devices anywhere: KIND:MEMORY, or with gigabytes a second of "
                + "its link KIND:MEMORY:RATE, as h200:141Gi:50. What is told of them says simulated.",
            default: "[]"
        ) { options, value throws(SettingRefusal) in
            var devices: [DeviceDescription] = []
            for text in value.texts {
                let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
                guard (2...3).contains(parts.count), !parts[0].isEmpty, let memory = Quantity.bytes(parts[1]),
                    memory > 0,
                    let rate = parts.count == 3 ? Double(parts[2]).map(Optional.some) : .some(nil), rate ?? 1 > 0
                else {
                    throw SettingRefusal("simulated devices as KIND:MEMORY or KIND:MEMORY:RATE, such as h200:141Gi:50")
                }
                devices.append(
                    PoolSettings.simulated(parts[0], memory: memory, gigabytes: rate, number: devices.count))
            }
            options.server.pool.simulated = devices
        },
    ]
}

internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusManifest
internal import ApusStore

/// What an hour costs as things are now: of workers and of instances on devices, function by function. The same rules as the accounts'.
struct CostRate: Sendable {
    private(set) var functions: [ResourceName: Double] = [:]
    /// Some of it is of devices that are declared.
    private(set) var isSimulated = false

    init(
        _ instances: [InstanceSnapshot], _ catalogue: Catalogue, _ devices: [DeviceRegister.Device],
        _ held: [DeviceHost.Instance], _ prices: Prices
    ) {
        for instance in instances where instance.state != .stopped {
            guard let resources = catalogue.functions[instance.function]?.manifest.resources else { continue }
            self.functions[instance.function, default: 0] += prices.hour(
                of: resources, isBusy: instance.state == .busy || instance.state == .starting)
        }
        for (place, device) in devices.enumerated() {
            self.add(device, held.filter { $0.devices.contains(place) }, prices)
        }
    }

    var total: Double { self.functions.values.reduce(0, +) }

    private mutating func add(_ device: DeviceRegister.Device, _ there: [DeviceHost.Instance], _ prices: Prices) {
        let description = device.found.description
        let price = prices.devices[description.kind] ?? 0
        if description.isSimulated, !there.isEmpty { self.isSimulated = true }
        let busy = there.filter { if case .busy = $0.state { true } else { $0.state == .draining } }
        let moving = there.filter {
            switch $0.state {
            case .starting(.loading), .starting(.warming), .starting(.waking), .stopped: true
            default: false
            }
        }
        let most = busy.isEmpty ? moving : busy
        guard most.isEmpty else {
            for instance in most { self.functions[instance.name, default: 0] += price / Double(most.count) }
            return
        }
        for instance in there {
            let part = Double(instance.bytes) / Double(max(1, description.memoryBytes))
            self.functions[instance.name, default: 0] += price * min(1, part)
        }
    }
}

extension Prices {
    /// What an hour of a worker costs, devices left out.
    func hour(of resources: FunctionManifest.Resources, isBusy: Bool) -> Double {
        let memory = Double(resources.memoryBytes) / Double(1 << 30) * self.host
        return isBusy ? memory + Double(resources.cpuMillis) / 1_000 * self.processor : memory
    }
}

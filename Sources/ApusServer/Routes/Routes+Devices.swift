internal import ApusCore
internal import ApusEngine
internal import ApusHTTP
internal import ApusJSON
internal import ApusStore
internal import ApusTelemetry

/// The devices of this server.
extension Routes {
    func addDevices(to table: inout RouteTable) {
        table.add(
            Operation("listDevices", "GET", "/v1/devices", "Devices, what is on them, and how they are.", .readServer)
        ) { exchange, _ in exchange.respond(json: self.devices().encoded()) }
        table.add(
            Operation(
                "drainDevice", "POST", "/v1/devices/{id}/drain", "Lets nothing start there any more.", .server([]))
        ) { exchange, parameters in
            self.answer(exchange) { () throws(ApusError) in
                let device = try self.server.devices.drain(parameters["id"] ?? "")
                exchange.respond(json: Self.json(device, []).encoded())
            }
        }
        table.add(
            Operation(
                "clearDevice", "POST", "/v1/devices/{id}/clear", "Says that it is well: things start there again.",
                .server([]))
        ) { exchange, parameters in
            self.answer(exchange) { () throws(ApusError) in
                let device = try self.server.devices.clear(parameters["id"] ?? "")
                exchange.respond(json: Self.json(device, []).encoded())
            }
        }
    }

    private func devices() -> JSONValue {
        let host = self.server.devices
        let instances = host.instances.sorted { $0.id.rawValue < $1.id.rawValue }
        let devices = host.devices
        let items = devices.enumerated().map { place, device in
            Self.json(device, instances.filter { $0.devices.contains(place) })
        }
        return [
            "items": .array(items), "hanging": .boolean(host.isHanging),
            "simulated": .boolean(devices.contains { $0.found.description.isSimulated }),
        ]
    }

    private static func json(_ device: DeviceRegister.Device, _ instances: [DeviceHost.Instance]) -> JSONValue {
        let description = device.found.description
        let reason: String? = if case .quarantined(let reason) = device.health { reason } else { nil }
        var json: JSONValue = [
            "id": .string(description.id), "kind": .string(description.kind), "name": .string(device.found.name),
            "simulated": .boolean(description.isSimulated), "health": .string(device.health.word),
            "since": .string(RFC3339.format(device.since)),
            "memory": [
                "capacity": .integer(description.memoryBytes), "used": .integer(device.used),
                "ours": .integer(device.attributed), "others": .integer(device.unattributed),
                "promised": .integer(instances.reduce(0) { $0 + $1.bytes }),
            ],
            "links": [
                "hostToDevice": .integer(description.links.fromHost),
                "deviceToHost": .integer(description.links.toHost), "disk": .integer(description.links.fromDisk),
            ],
            "part": .boolean(device.found.isPart),
            "instances": .array(instances.map(Self.json)),
            "events": .array(
                device.events.map { ["at": .string(RFC3339.format($0.at)), "text": .string($0.text)] }),
        ]
        if let reason { json["reason"] = .string(reason) }
        if let problem = device.problem { json["problem"] = .string(problem) }
        if let read = device.readAt { json["read"] = .string(RFC3339.format(read)) }
        if !device.found.driver.isEmpty { json["driver"] = .string(device.found.driver) }
        if let node = device.found.node { json["node"] = .number(node) }
        return json
    }

    private static func json(_ instance: DeviceHost.Instance) -> JSONValue {
        [
            "instance": .number(instance.id.rawValue), "namespace": .string(instance.name.namespace.name),
            "function": .string(instance.name.name), "revision": .string(instance.revision),
            "state": .string(instance.state.name), "since": .string(RFC3339.format(instance.since)),
            "bytes": .integer(instance.bytes), "tier": .string("\(instance.tier)"),
        ]
    }

    /// For `/metrics`.
    static func devices(
        _ devices: [DeviceRegister.Device], _ totals: [(device: DeviceDescription, usage: DeviceUsage)],
        into metrics: inout Metrics
    ) {
        func simulated(_ description: DeviceDescription) -> String { description.isSimulated ? "true" : "false" }
        for device in devices {
            let description = device.found.description
            let labels = [description.id, description.kind, simulated(description)]
            metrics.add(
                metrics.series(ServerMetric.devices, [description.kind, device.health.word, simulated(description)]), 1)
            for (part, bytes) in [
                ("capacity", description.memoryBytes), ("used", device.used), ("ours", device.attributed),
                ("others", device.unattributed),
            ] { metrics.set(metrics.series(ServerMetric.deviceMemory, labels + [part]), Double(bytes)) }
        }
        for (description, usage) in totals {
            let labels = [description.id, description.kind, simulated(description)]
            for (part, span) in [
                ("busy", usage.busy), ("idle", usage.idle), ("transfer", usage.transfer),
                ("unallocated", usage.unallocated),
            ] { metrics.add(metrics.series(ServerMetric.deviceSeconds, labels + [part]), Double(span) / 1e6) }
        }
    }
}

extension DeviceLedger.Health {
    /// As answers and metrics say it.
    var word: String {
        switch self {
        case .working: "working"
        case .draining: "draining"
        case .quarantined: "quarantined"
        case .lost: "lost"
        }
    }
}

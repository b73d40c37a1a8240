internal import ApusCore
internal import ApusEngine
internal import ApusJSON
internal import ApusStore

/// What `GET /v1/usage` answers: the use of one namespace in a window, by what was asked for, with prices. Made on the store thread.
struct CostReport: Sendable {
    enum Grouping: Sendable, Hashable {
        case function, day, hour, principal
        case label(String)

        /// - Throws: `invalid_argument`.
        init(_ text: String) throws(ApusError) {
            switch text {
            case "function": self = .function
            case "day": self = .day
            case "hour": self = .hour
            case "principal": self = .principal
            default:
                guard text.hasPrefix("label:"), text.utf8.count > 6, text.utf8.count <= 256 else {
                    throw ApusError(
                        .invalidArgument,
                        "by=\(text.prefix(64)): function, day, hour, principal or label:KEY is expected")
                }
                self = .label(String(text.dropFirst(6)))
            }
        }

        var text: String {
            switch self {
            case .function: "function"
            case .day: "day"
            case .hour: "hour"
            case .principal: "principal"
            case .label(let key): "label:\(key)"
            }
        }
    }

    var namespace: Namespace
    var from: Timestamp
    var to: Timestamp
    var grouping: Grouping
    /// Only this function.
    var function: String?
    /// For how long workers might have been kept instead.
    var spans: [TimeSpan]
    var prices: Prices

    private var window: UsageWindow {
        let step: UsageWindow.Step =
            switch self.grouping {
            case .day: .day
            case .hour: .hour
            case .function, .principal, .label: .whole
            }
        return UsageWindow(from: self.from, to: self.to, step: step)
    }

    /// - Parameter labels: of what is deployed now; those of functions that are gone are gone with them.
    func json(_ projection: Projection, labels: (ResourceName) -> [String: String]?) throws(ApusError) -> JSONValue {
        let window = self.window
        let rows = try projection.usage(in: self.namespace, window).filter { self.isWanted($0.function.name) }
        var total = UsageItem()
        for row in rows { total += UsageItem(row, self.prices) }
        let items =
            switch self.grouping {
            case .function: self.gather(rows) { $0.function.name.name }
            case .day, .hour: self.gather(rows) { RFC3339.format(Timestamp(microseconds: $0.minute * 60_000_000)) }
            case .label(let key): self.gather(rows) { labels($0.function.name)?[key] ?? "(none)" }
            case .principal: try self.principals(rows, projection, window)
            }
        var json: JSONValue = [
            "namespace": .string(self.namespace.name), "from": .string(RFC3339.format(window.start)),
            "to": .string(RFC3339.format(window.end)), "by": .string(self.grouping.text),
            "prices": self.prices.json, "simulated": .boolean(total.isSimulated),
            "items": .array(items.map { $0.item.json($0.name, self.prices) }),
            "total": total.json("total", self.prices),
        ]
        if !self.spans.isEmpty { json["kept"] = .array(try self.kept(rows, projection, window)) }
        return json
    }

    private func isWanted(_ name: ResourceName) -> Bool { self.function == nil || self.function == name.name }

    private func gather(_ rows: [UsageRow], by name: (UsageRow) -> String) -> [(name: String, item: UsageItem)] {
        var items: [String: UsageItem] = [:]
        for row in rows { items[name(row), default: UsageItem()] += UsageItem(row, self.prices) }
        let byName = items.sorted { $0.key < $1.key }.map { (name: $0.key, item: $0.value) }
        switch self.grouping {
        case .day, .hour: return byName
        case .function, .label, .principal: return byName.sorted { $0.item.cost.total > $1.item.cost.total }
        }
    }

    private func principals(_ rows: [UsageRow], _ projection: Projection, _ window: UsageWindow) throws(ApusError)
        -> [(name: String, item: UsageItem)]
    {
        var functions: [ResourceName: UsageItem] = [:]
        for row in rows { functions[row.function.name, default: UsageItem()] += UsageItem(row, self.prices) }
        let callers = try projection.callers(in: self.namespace, window).filter { self.isWanted($0.name) }
        return CallerParts.divide(functions, among: callers).sorted {
            ($1.value.cost.total, $0.key) < ($0.value.cost.total, $1.key)
        }.map { (name: $0.key, item: $0.value) }
    }

    // MARK: what keeping them otherwise would have cost

    private func kept(_ rows: [UsageRow], _ projection: Projection, _ window: UsageWindow) throws(ApusError)
        -> [JSONValue]
    {
        var byName: [ResourceName: [UsageRow]] = [:]
        for row in rows { byName[row.function.name, default: []].append(row) }
        return try projection.gaps(in: self.namespace, window).compactMap { name, kind, gaps in
            guard self.isWanted(name), let rows = byName[name] else { return nil }
            let kept = KeptReport(rows, kind: kind, gaps, self.prices)
            return [
                "name": .string(name.name), "kind": kind.isEmpty ? .null : .string(kind), "was": kept.was,
                "simulated": .boolean(kept.isSimulated), "items": .array(self.spans.map { kept.json(for: $0) }),
            ]
        }
    }
}

extension Prices {
    var json: JSONValue {
        [
            "currency": .string(self.currency),
            "devices": .object(
                JSONObject(self.devices.sorted { $0.key < $1.key }.map { ($0.key, .double($0.value)) })),
            "hostGiB": .double(self.host), "cpu": .double(self.processor),
        ]
    }
}

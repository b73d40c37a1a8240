internal import ApusCore
internal import ApusJSON

extension Command {
    static let cost = Command(
        CommandDescription(
            name: "cost", summary: "what functions used and cost, and what keeping them otherwise would have cost",
            details: """
                Prices stand in apus.yaml, as pool.prices: of a device's hour by kind, of a GiB of memory and of a processor. Figures of
                simulated devices say so.
                """,
            options: [
                .value(
                    "--by", "WHAT", "function (default), day, hour, principal, device, or label:KEY, as label:team"),
                .value("--from", "TIME", "from when on: how long ago (2h, 7d) or a time (1d)"),
                .value("--to", "TIME", "until when (now)"),
                .value("--function", "NAME", "only this function", values: .functions),
                .value("--ttl", "TIMES", "what keeping workers so long after each use would have cost, as 10m,1h"),
            ],
            examples: [
                .init("apus cost", "The last day, function by function"),
                .init("apus cost --by label:team --from 30d", "Who used what this month"),
                .init("apus cost --by day --from 7d", "A week, day by day"),
                .init("apus cost --by device", "What each second of each device was"),
                .init("apus cost --ttl 1m,10m,1h", "Would keeping workers longer, or less long, have paid?"),
            ]
        )
    ) { context in try CostCommand(context: context).run() }
}

private struct CostCommand {
    let context: CommandContext

    func run() throws {
        let arguments = self.context.arguments
        let grouping = arguments["--by"] ?? "function"
        var query: [(name: String, value: String)] = []
        for name in ["from", "to"] {
            if let time = try self.context.moment("--\(name)") { query.append((name, time)) }
        }
        let client = try self.context.client()
        if grouping == "device" {
            guard arguments["--function"] == nil, arguments["--ttl"] == nil else {
                throw UsageError("--by device takes --from and --to alone: devices belong to no function")
            }
            let answer = try client.call(APIRequest(.get, "/v1/devices/usage", query: query)).json()
            return try self.context.show(answer) { self.devices(answer) }
        }
        query.append(("by", grouping))
        if let name = arguments["--function"] { query.append(("function", name)) }
        if let spans = arguments["--ttl"] { query.append(("ttl", spans)) }
        let answer = try client.call(APIRequest(.get, client.path("usage"), query: query)).json()
        try self.context.show(answer) { self.usage(answer, grouping) }
    }

    // MARK: tables

    private func usage(_ answer: JSONValue, _ grouping: String) -> String {
        let items = answer["items"]?.array ?? []
        guard !items.isEmpty else { return "nothing was used \(self.window(answer))\n" }
        let currency = answer["prices"]?["currency"]?.string ?? ""
        let hasDevices = (items + [answer["total"] ?? .null]).contains { Self.device($0) > 0 }
        let heading = grouping.hasPrefix("label:") ? String(grouping.dropFirst(6)) : grouping
        var table = TextTable(
            [heading.uppercased(), "CALLS", "FAILED", "BUSY", "IDLE", "STARTS"]
                + (hasDevices ? ["DEVICE BUSY", "IDLE", "TRANSFER"] : []) + ["COST \(currency)"])
        for item in items + [answer["total"] ?? .null] { table.add(Self.cells(item, hasDevices)) }
        var text = table.render(width: self.context.terminal.width)
        text += "\(self.window(answer))\(self.remarks(answer))\n"
        if let kept = answer["kept"]?.array { text += self.kept(kept, currency) }
        return text
    }

    private static func cells(_ item: JSONValue, _ hasDevices: Bool) -> [String] {
        let workers = item["workerSeconds"]
        let devices = item["deviceSeconds"]
        var cells = [
            item["name"]?.string ?? "", "\(item["calls"]?.integer ?? 0)", "\(item["failed"]?.integer ?? 0)",
            Self.seconds(workers?["busy"]), Self.seconds(workers?["idle"]),
            "\((item["starts"]?.integer ?? 0) + (item["wakes"]?.integer ?? 0))",
        ]
        if hasDevices {
            cells += [
                Self.seconds(devices?["busy"]), Self.seconds(devices?["idle"]), Self.seconds(devices?["transfer"]),
            ]
        }
        let simulated = item["simulated"]?.boolean == true ? " simulated" : ""
        return cells + [Self.money(item["cost"]?["total"]) + simulated]
    }

    private func kept(_ functions: [JSONValue], _ currency: String) -> String {
        var table = TextTable(["FUNCTION", "KEPT FOR", "IDLE", "COST \(currency)", "COLD STARTS", "WAITED"])
        for function in functions {
            let kind = function["kind"]?.string.map { " on \($0)" } ?? ""
            let simulated = function["simulated"]?.boolean == true ? " (simulated)" : ""
            let name = (function["name"]?.string ?? "") + kind + simulated
            let lines =
                [(name: "as it was", value: function["was"] ?? .null)]
                + (function["items"]?.array ?? []).map { (name: $0["ttl"]?.string ?? "", value: $0) }
            for (place, line) in lines.enumerated() {
                table.add([
                    place == 0 ? name : "", line.name, Self.seconds(line.value["idleSeconds"]),
                    Self.money(line.value["cost"]), "\(line.value["coldStarts"]?.integer ?? 0)",
                    Self.seconds(line.value["waitedSeconds"]),
                ])
            }
        }
        return "\n" + table.render(width: self.context.terminal.width)
    }

    private func devices(_ answer: JSONValue) -> String {
        let items = answer["items"]?.array ?? []
        guard !items.isEmpty else { return "no device was there \(self.window(answer))\n" }
        let currency = answer["prices"]?["currency"]?.string ?? ""
        var table = TextTable(
            ["DEVICE", "NODE", "KIND", "BUSY", "IDLE", "TRANSFER", "UNALLOCATED", "TOTAL", "COST \(currency)"])
        for item in items {
            let seconds = item["seconds"]
            let simulated = item["simulated"]?.boolean == true ? " simulated" : ""
            table.add(
                [item["device"]?.string ?? "", item["node"]?.string ?? "", item["kind"]?.string ?? ""]
                    + ["busy", "idle", "transfer", "unallocated", "total"].map { Self.seconds(seconds?[$0]) }
                    + [Self.money(item["cost"]) + simulated])
        }
        return table.render(width: self.context.terminal.width) + "\(self.window(answer))\(self.remarks(answer))\n"
    }

    private func window(_ answer: JSONValue) -> String {
        "from \(answer["from"]?.string ?? "") to \(answer["to"]?.string ?? "")"
    }

    private func remarks(_ answer: JSONValue) -> String {
        var text = ""
        if answer["simulated"]?.boolean == true { text += "; simulated: devices are declared, not found" }
        let prices = answer["prices"]
        let hasPrice =
            (prices?["hostGiB"]?.double ?? 0) > 0 || (prices?["cpu"]?.double ?? 0) > 0
            || !(prices?["devices"]?.object?.isEmpty ?? true)
        if !hasPrice { text += "; no prices: set pool.prices in apus.yaml" }
        return text
    }

    private static func device(_ item: JSONValue) -> Double {
        ["busy", "idle", "transfer"].reduce(0) { $0 + (item["deviceSeconds"]?[$1]?.double ?? 0) }
    }

    /// `0`, `12 ms`, `3.50 s`, `4 m 10 s`, `12.5 h`.
    private static func seconds(_ value: JSONValue?) -> String {
        let seconds = value?.double ?? 0
        if seconds == 0 { return "0" }
        if seconds < 3_600 { return TimeText.span(TimeSpan(microseconds: Int64(seconds * 1e6))) }
        let tenths = Int64((seconds / 360).rounded())
        return "\(tenths / 10).\(tenths % 10) h"
    }

    /// Two digits behind the point, and more of less than a unit, so that a little is not nothing.
    private static func money(_ value: JSONValue?) -> String {
        guard let amount = value?.double else { return "-" }
        let digits: Int64 = amount == 0 || amount >= 1 ? 100 : amount < 0.01 ? 1_000_000 : 10_000
        let rounded = Int64((amount * Double(digits)).rounded())
        let rest = String(rounded % digits + digits).dropFirst()
        return "\(rounded / digits).\(rest)"
    }
}

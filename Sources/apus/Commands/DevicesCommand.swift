internal import ApusCore
internal import ApusJSON

extension Command {
    static let devices = Command(
        CommandDescription(
            name: "devices", summary: "look at devices; take one out of use, or into it again",
            subcommands: [
                CommandDescription(
                    name: "list", summary: "list devices, what is on them, and how they are",
                    examples: [
                        .init("apus devices list", "Memory, health and instances of each"),
                        .init("apus devices list --output json", "With links, events and every byte"),
                    ]
                ),
                CommandDescription(
                    name: "drain", summary: "let nothing start on a device any more; what runs goes on",
                    positionals: [PositionalDescription(name: "ID", summary: "the device", values: .devices)],
                    examples: [.init("apus devices drain GPU-6a7d2c10", "Before the card is taken out")]
                ),
                CommandDescription(
                    name: "clear", summary: "end a drain or a quarantine: the device is well",
                    positionals: [PositionalDescription(name: "ID", summary: "the device", values: .devices)],
                    examples: [.init("apus devices clear GPU-6a7d2c10", "After a leak or a critical error was seen to")]
                ),
            ],
            main: "list"
        )
    ) { context in
        let command = DevicesCommand(context: context)
        switch context.subcommand {
        case "drain": try command.change("drain")
        case "clear": try command.change("clear")
        default: try command.list()
        }
    }
}

struct DevicesCommand {
    let context: CommandContext

    func list() throws {
        let answer = try self.context.client().call(APIRequest(.get, "/v1/devices")).json()
        try self.context.show(answer) {
            let items = JSONLines.list(answer) ?? []
            if items.isEmpty { return "no devices\n" }
            var table = TextTable(["ID", "KIND", "HEALTH", "MEMORY", "USED", "OTHERS", "INSTANCES", "SINCE"])
            for item in items {
                let memory = item["memory"]
                table.add([
                    item["id"]?.string ?? "", item["kind"]?.string ?? "", Self.health(item),
                    Self.bytes(memory?["capacity"]), Self.bytes(memory?["used"]), Self.bytes(memory?["others"]),
                    Self.instances(item["instances"]?.array ?? []), self.context.ago(item["since"]),
                ])
            }
            var text = table.render(width: self.context.terminal.width)
            for item in items {
                guard let why = item["reason"]?.string ?? item["problem"]?.string else { continue }
                text += "\(item["id"]?.string ?? ""): \(why)\n"
            }
            if answer["hanging"]?.boolean == true { text += "the driver does not answer: nothing starts on devices\n" }
            if answer["simulated"]?.boolean == true { text += "simulated: these devices are declared, not found\n" }
            return text
        }
    }

    func change(_ verb: String) throws {
        let id = try self.whole(self.context.arguments["ID"] ?? "")
        let path = "/v1/devices/\(PercentEncoding.encode(id))/\(verb)"
        let answer = try self.context.client().call(APIRequest(.post, path, body: [])).json()
        try self.context.show(answer) {
            let simulated = answer["simulated"]?.boolean == true ? " (simulated)" : ""
            return verb == "drain" ? "\(id) drains\(simulated)\n" : "\(id) is in use\(simulated)\n"
        }
    }

    /// A driver's ids are long: as much of one suffices as tells it from the others.
    private func whole(_ start: String) throws -> String {
        let answer = try self.context.client().call(APIRequest(.get, "/v1/devices")).json()
        let ids = (JSONLines.list(answer) ?? []).compactMap { $0["id"]?.string }
        if ids.contains(start) { return start }
        let meant = ids.filter { $0.hasPrefix(start) }
        guard meant.count <= 1 else {
            throw UsageError("'\(start)' begins the ids of \(meant.count) devices: give more of it")
        }
        return meant.first ?? start
    }

    private static func health(_ item: JSONValue) -> String {
        let health = item["health"]?.string ?? ""
        return item["simulated"]?.boolean == true ? "\(health) (simulated)" : health
    }

    private static func instances(_ items: [JSONValue]) -> String {
        if items.isEmpty { return "-" }
        return items.map { "\($0["function"]?.string ?? "") \($0["state"]?.string ?? "")" }.joined(separator: ", ")
    }

    private static func bytes(_ value: JSONValue?) -> String { ByteText.short(value?.integer ?? 0) }
}

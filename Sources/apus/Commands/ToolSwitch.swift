internal import ApusCore
internal import ApusJSON

/// `apus tools accept|disable|enable`: what is decided about a tool beside its manifest.
struct ToolSwitch {
    let context: CommandContext

    func run(_ verb: String) throws {
        let name = self.context.arguments["NAME"] ?? ""
        let client = try self.context.client()
        var body: JSONValue = [:]
        if verb == "accept" {
            let tool = try client.call(APIRequest(.get, client.path("tools", name))).json()
            guard let digest = tool["waitingSHA256"]?.string else {
                throw ApusError(
                    .conflict, "there is nothing to accept of '\(name)': it is \(tool["state"]?.string ?? "unknown")")
            }
            self.context.note(Self.difference(tool))
            if self.context.arguments.has("--dry-run") { return }
            let wanted = self.context.arguments["--sha256"]
            body["sha256"] = .string(wanted ?? digest)
        }
        let request = APIRequest(.post, client.path("tools", name, verb), json: body)
        _ = try client.call(request)
        let done = ["accept": "accepted", "disable": "disabled", "enable": "enabled"][verb] ?? verb
        try self.context.show(["kind": "tool", "name": .string(name), "action": .string(done)]) {
            "\(done) tool \(name)\n"
        }
    }

    /// What was accepted and what it says now, line by line.
    static func difference(_ tool: JSONValue) -> String {
        let old = Self.lines(tool["accepted"]), new = Self.lines(tool["waiting"])
        let reason = tool["reason"]?.string ?? "it is new"
        var text = "\(SafeText.of(tool["name"]?.string ?? "")): \(SafeText.of(reason))\n"
        let change = new.difference(from: old)
        var removed: [Int: String] = [:]
        var added: [Int: String] = [:]
        for step in change {
            switch step {
            case .remove(let offset, let line, _): removed[offset] = line
            case .insert(let offset, let line, _): added[offset] = line
            }
        }
        var (left, right) = (0, 0)
        while left < old.count || right < new.count {
            if let line = removed[left] {
                text += "- \(SafeText.of(line))\n"
                left += 1
            } else if let line = added[right] {
                text += "+ \(SafeText.of(line))\n"
                right += 1
            } else {
                text += "  \(SafeText.of(new[right]))\n"
                (left, right) = (left + 1, right + 1)
            }
        }
        return text + "sha256 \(tool["waitingSHA256"]?.string ?? "")"
    }

    private static func lines(_ definition: JSONValue?) -> [String] {
        guard let definition, !definition.isNull else { return [] }
        return definition.pretty.split(separator: "\n", omittingEmptySubsequences: true).map(String.init)
    }
}

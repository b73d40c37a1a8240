internal import ApusCore
internal import ApusHTTP
internal import ApusJSON
internal import ApusManifest
internal import ApusStore
internal import ApusTools

/// What is decided about a tool beside its manifest: accepted, hidden, shown again. Each is kept in the audit.
extension Routes {
    func addToolSwitches(to table: inout RouteTable) {
        table.add(Operation("getTool", "GET", "/v1/tools/{name}", "One tool, and whether agents see it.", .read)) {
            self.describeTool($0, $1)
        }
        table.add(
            Operation("acceptTool", "POST", "/v1/tools/{name}/accept", "Accepts what a tool says now.", .deploy)
        ) { self.acceptTool($0, $1) }
        table.add(Operation("disableTool", "POST", "/v1/tools/{name}/disable", "Hides a tool.", .deploy)) {
            self.switchTool($0, $1, isDisabled: true)
        }
        table.add(Operation("enableTool", "POST", "/v1/tools/{name}/enable", "Shows a hidden tool.", .deploy)) {
            self.switchTool($0, $1, isDisabled: false)
        }
    }

    /// A tool by the name that agents know it by when they see it.
    private enum FoundTool {
        case own(Tool, DisabledTool?)
        /// It says something else than what was signed.
        case held(Catalogue.Function, ToolTrust)
        case remote(UpstreamManifest, String, UpstreamTools.Entry)
    }

    /// Whether agents see it now or not. A function's keeps its name against an upstream's.
    private static func find(_ name: String, in namespace: Namespace, _ server: Server) throws(ApusError) -> FoundTool {
        let catalogue = server.control.catalogue
        let held = catalogue.functions.values.filter {
            $0.name.namespace == namespace && $0.manifest.tool.map { ToolName($0.name).text == name } ?? false
                && $0.trust?.isHeld($0.manifest) ?? false
        }.min { $0.name < $1.name }
        if let held, let trust = held.trust { return .held(held, trust) }
        if let tool = server.tools[namespace].ownTool(named: name) {
            return .own(tool, catalogue.disabledTools[namespace]?[name])
        }
        for upstream in catalogue.upstreams.values.map(\.manifest).sorted(by: { $0.name < $1.name })
        where upstream.namespace == namespace {
            for (tool, entry) in catalogue.upstreamTools[upstream.name]?.entries ?? [:]
            where UpstreamOffer.handle(of: tool, prefix: upstream.prefix) == name {
                return .remote(upstream, tool, entry)
            }
        }
        throw ApusError(
            .notFound, "there is no tool '\(name.prefix(128))': see `apus tools list`, and `apus get upstreams` for those of upstreams")
    }

    private func describeTool(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let (namespace, name) = (try self.namespace(parameters), parameters["name"] ?? "")
            self.answerFromStore(exchange) { (server) throws(ApusError) in
                switch try Self.find(name, in: namespace, server) {
                case .own(let tool, let disabled): StoreAnswer(Self.json(tool, named: name, disabled))
                case .held(let function, let trust): StoreAnswer(Self.json(function, named: name, trust))
                case .remote(let upstream, let tool, let entry): StoreAnswer(Self.json(entry, tool, upstream))
                }
            }
        }
    }

    private static func json(_ tool: Tool, named name: String, _ disabled: DisabledTool?) -> JSONValue {
        var json: JSONValue = [
            "name": .string(name), "function": .string(tool.function.name), "version": .number(tool.version),
            "state": disabled == nil ? "offered" : "disabled", "sha256": .string(tool.digest),
        ]
        if let disabled {
            json["by"] = .string(disabled.principal)
            json["since"] = .string(RFC3339.format(disabled.since))
        }
        return json
    }

    private static func json(_ function: Catalogue.Function, named name: String, _ trust: ToolTrust) -> JSONValue {
        // A deploy has parsed them; a damaged one is shown as none.
        func parsed(_ text: [UInt8]) -> JSONValue { (try? JSONValue.parse(text)) ?? .null }
        let statement = function.manifest.toolStatement ?? []
        return [
            "name": .string(name), "function": .string(function.name.name),
            "version": .number(function.manifest.tool?.version ?? 1), "state": "quarantined",
            "reason": .string("it says something else than what the key \(trust.key) signed, and is not signed by it"),
            "accepted": parsed(Array(trust.accepted.utf8)), "waiting": parsed(statement),
            "waitingSHA256": .string(ToolTrust.digest(of: statement)),
        ]
    }

    private func acceptTool(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let (namespace, name) = (try self.namespace(parameters), parameters["name"] ?? "")
            let body: JSONValue = try exchange.body.isEmpty ? .null : JSONValue.parse(exchange.body)
            guard let digest = body["sha256"]?.string else {
                throw ApusError(
                    .invalidArgument, "`sha256` is missing: the hash of what was looked at, as GET /v1/tools/NAME has it")
            }
            let found = try Self.find(name, in: namespace, self.server)
            if case .held(let function, let trust) = found {
                let change = ChangeAudit(
                    "accepted", name, in: namespace, by: self.principal(of: exchange).name, digest: digest,
                    digestBefore: ToolTrust.digest(of: Array(trust.accepted.utf8)), revision: function.revision)
                return self.command(.acceptSignedTool(function.name, digest: digest), exchange, noting: change)
            }
            guard case .remote(let upstream, let tool, let entry) = found else {
                throw ApusError(
                    .conflict, "there is nothing to accept of '\(name.prefix(128))': what a function's tool says is deployed with it")
            }
            let change = ChangeAudit(
                "accepted", name, in: namespace, by: self.principal(of: exchange).name, digest: digest,
                digestBefore: entry.accepted.map { UpstreamTools.digest($0) })
            self.command(.switchUpstreamTool(upstream.name, tool: tool, .accept(digest: digest)), exchange, noting: change)
        }
    }

    private func switchTool(_ exchange: HTTPExchange, _ parameters: RouteParameters, isDisabled: Bool) {
        self.answer(exchange) { () throws(ApusError) in
            let (namespace, name) = (try self.namespace(parameters), parameters["name"] ?? "")
            let who = self.principal(of: exchange).name
            let (command, digest): (ControlCommand, String?) =
                switch try Self.find(name, in: namespace, self.server) {
                case .held:
                    throw ApusError(
                        .conflict, "'\(name.prefix(128))' is quarantined, agents do not see it: `apus tools accept` shows why")
                case .own(let tool, _): (.switchTool(namespace, name, isDisabled: isDisabled, by: who), tool.digest)
                case .remote(let upstream, let tool, let entry):
                    (
                        .switchUpstreamTool(upstream.name, tool: tool, isDisabled ? .disable : .enable),
                        (entry.accepted ?? entry.waiting).map { UpstreamTools.digest($0) }
                    )
                }
            let change = ChangeAudit(
                isDisabled ? "disabled" : "enabled", name, in: namespace, by: who, digest: digest)
            self.command(command, exchange, noting: change)
        }
    }
}

internal import ApusCore
internal import ApusHTTP
internal import ApusJSON
internal import ApusManifest
internal import ApusStore
internal import ApusTools
internal import Synchronization

/// Upstreams, and the tools that they list.
extension Routes {
    func addUpstreams(to table: inout RouteTable) {
        table.add(Operation("listUpstreams", "GET", "/v1/upstreams", "The upstreams.", .read)) {
            self.listUpstreams($0, $1)
        }
        table.add(Operation("getUpstream", "GET", "/v1/upstreams/{name}", "One upstream and its tools.", .read)) {
            self.describeUpstream($0, $1)
        }
        table.add(Operation("putUpstream", "PUT", "/v1/upstreams/{name}", "Deploys one upstream.", .deploy)) {
            self.put($0, $1, kind: .upstream)
        }
        table.add(Operation("deleteUpstream", "DELETE", "/v1/upstreams/{name}", "Deletes an upstream.", .deploy)) {
            self.deleteUpstream($0, $1)
        }
    }

    private func listUpstreams(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let namespace = try self.namespace(parameters)
            self.answerFromStore(exchange) { server in
                let catalogue = server.control.catalogue
                let all = catalogue.upstreams.values.filter { $0.manifest.namespace == namespace }
                return StoreAnswer([
                    "items": .array(
                        all.sorted { $0.manifest.name < $1.manifest.name }.map { Self.json($0, catalogue, server) })
                ])
            }
        }
    }

    private func describeUpstream(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let name = try self.upstream(parameters)
            self.answerFromStore(exchange) { (server) throws(ApusError) in
                let catalogue = server.control.catalogue
                guard let found = catalogue.upstreams[name] else {
                    throw ApusError(.notFound, "there is no upstream '\(name)': see `apus get upstreams`")
                }
                var json = Self.json(found, catalogue, server)
                let tools = catalogue.upstreamTools[name] ?? UpstreamTools()
                json["tools"] = .array(
                    tools.entries.sorted { $0.key < $1.key }.map { Self.json($0.value, $0.key, found.manifest) })
                return StoreAnswer(json, headers: [("ETag", "\"\(found.generation)\"")])
            }
        }
    }

    private func deleteUpstream(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let name = try self.upstream(parameters)
            self.command(
                .deleteUpstream(name, ifMatch: try self.ifMatch(exchange)), exchange,
                noting: self.deleted("upstream/\(name.name)", name, exchange))
        }
    }

    private func upstream(_ parameters: RouteParameters) throws(ApusError) -> ResourceName {
        let text = parameters["name"] ?? ""
        guard let name = ResourceName(try self.namespace(parameters), text) else {
            throw ApusError(
                .invalidArgument,
                "'\(text.prefix(64))' is no upstream's name: 1 to 63 of a-z, 0-9 and hyphens are allowed")
        }
        return name
    }

    private static func json(
        _ upstream: Catalogue.Upstream, _ catalogue: Catalogue, _ server: Server
    ) -> JSONValue {
        let manifest = upstream.manifest
        let shown = server.upstreams.shown(manifest.name)
        var states: [String: Int] = [:]
        for entry in catalogue.upstreamTools[manifest.name]?.entries.values.map(\.state) ?? [] {
            states[entry, default: 0] += 1
        }
        let breaker = server.tools.breakers.withLock { $0[manifest.name]?.state }
        let isAvailable =
            switch breaker {
            case .closed?, nil: shown.problem == nil
            case .open?, .trying?: false
            }
        return [
            "name": .string(manifest.name.name), "namespace": .string(manifest.namespace.name),
            "generation": .number(upstream.generation), "function": .string(manifest.function.name),
            "prefix": .string(manifest.prefix), "available": .boolean(isAvailable),
            "problem": shown.problem.map { .string($0) } ?? .null,
            "asked": shown.asked.map { .string(RFC3339.format($0)) } ?? .null,
            "counts": .object(JSONObject(states.sorted { $0.key < $1.key }.map { ($0.key, .number($0.value)) })),
            "manifest": Manifest.upstream(manifest).toJSON(), "updated": .string(RFC3339.format(upstream.updated)),
        ]
    }

    static func json(_ entry: UpstreamTools.Entry, _ tool: String, _ upstream: UpstreamManifest) -> JSONValue {
        let definition = { (one: UpstreamDefinition?) -> JSONValue in
            one.flatMap { try? JSONValue.parse($0.canonical) } ?? .null
        }
        let digest = { (one: UpstreamDefinition?) -> JSONValue in
            one.map { .string(UpstreamTools.digest($0)) } ?? .null
        }
        return [
            "name": .string(UpstreamOffer.handle(of: tool, prefix: upstream.prefix)),
            "kind": .string(UpstreamDefinition.kind(of: tool).rawValue), "tool": .string(tool),
            "upstream": .string(upstream.name.name), "state": .string(entry.state),
            "reason": entry.reason.map { .string($0) } ?? .null,
            "accepted": definition(entry.accepted), "acceptedSHA256": digest(entry.accepted),
            "waiting": definition(entry.waiting), "waitingSHA256": digest(entry.waiting),
        ]
    }
}

internal import ApusCore
internal import ApusHTTP
internal import ApusJSON
internal import ApusManifest
internal import ApusStore

/// Tool servers: named sets of tools, deployed as functions are. What they show to agents is at `/mcp/NAME`.
extension Routes {
    func addToolServers(to table: inout RouteTable) {
        table.add(Operation("listToolServers", "GET", "/v1/tool-servers", "The tool servers.", .read)) {
            self.listToolServers($0, $1)
        }
        table.add(Operation("getToolServer", "GET", "/v1/tool-servers/{name}", "One tool server.", .read)) {
            self.describeToolServer($0, $1)
        }
        table.add(
            Operation("putToolServer", "PUT", "/v1/tool-servers/{name}", "Deploys one tool server.", .deploy)
        ) { self.put($0, $1, kind: .toolServer) }
        table.add(
            Operation("deleteToolServer", "DELETE", "/v1/tool-servers/{name}", "Deletes a tool server.", .deploy)
        ) { self.deleteToolServer($0, $1) }
    }

    private func listToolServers(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let namespace = try self.namespace(parameters)
            self.answerFromStore(exchange) { server in
                let all = server.control.catalogue.toolServers.values.filter { $0.name.namespace == namespace }
                return StoreAnswer(["items": .array(all.sorted { $0.name < $1.name }.map(Self.toolServerJSON))])
            }
        }
    }

    private func describeToolServer(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let name = try self.toolServer(parameters)
            self.answerFromStore(exchange) { (server) throws(ApusError) in
                guard let found = server.control.catalogue.toolServers[name] else { throw name.isUnknownToolServer }
                return StoreAnswer(Self.toolServerJSON(found), headers: [("ETag", "\"\(found.generation)\"")])
            }
        }
    }

    private func deleteToolServer(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let name = try self.toolServer(parameters)
            self.command(
                .deleteToolServer(name, ifMatch: try self.ifMatch(exchange)), exchange,
                noting: self.deleted("tool-server/\(name.name)", name, exchange))
        }
    }

    private func toolServer(_ parameters: RouteParameters) throws(ApusError) -> ResourceName {
        let text = parameters["name"] ?? ""
        guard let name = ResourceName(try self.namespace(parameters), text) else {
            throw ApusError(
                .invalidArgument,
                "'\(text.prefix(64))' is no tool server's name: 1 to 63 of a-z, 0-9 and hyphens are allowed")
        }
        return name
    }

    private static func toolServerJSON(_ server: Catalogue.ToolServer) -> JSONValue {
        let path =
            server.name.namespace == .default
            ? "/mcp/\(server.name.name)" : "/v1/namespaces/\(server.name.namespace)/mcp/\(server.name.name)"
        return [
            "name": .string(server.name.name), "namespace": .string(server.name.namespace.name),
            "generation": .number(server.generation), "path": .string(path),
            "manifest": Manifest.toolServer(server.manifest).toJSON(),
            "updated": .string(RFC3339.format(server.updated)),
        ]
    }
}

extension ResourceName {
    fileprivate var isUnknownToolServer: ApusError {
        ApusError(.notFound, "there is no tool server '\(self)': see `apus get tool-servers`")
    }
}

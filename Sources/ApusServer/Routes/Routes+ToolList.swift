internal import ApusCore
internal import ApusHTTP
internal import ApusJSON
internal import ApusManifest
internal import ApusStore
internal import ApusTools

/// Tools for people and programs that do not speak the agents' protocol: listed and searched.
extension Routes {
    func addToolList(to table: inout RouteTable) {
        table.add(Operation("listTools", "GET", "/v1/tools", "The tools, or those that a question is about.", .follow))
        {
            self.listTools($0, $1)
        }
    }

    private func listTools(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let namespace = try self.namespace(parameters)
            let query = try self.query(exchange)
            if let name = query.unexpected(besides: ["server", "query", "limit"]) {
                throw ApusError(
                    .invalidArgument, "'\(name.prefix(64))' is no parameter here: server, query and limit are")
            }
            let limit = try self.number(
                query, "limit", default: Limits.Tools.foundStandard, in: 1...Limits.Tools.foundTools)
            let (server, question) = (query["server"], query["query"])
            if let question, !(1...Limits.Tools.questionBytes).contains(question.utf8.count) {
                throw ApusError(
                    .invalidArgument,
                    "a question has 1 to \(Limits.Tools.questionBytes) bytes, this one \(question.utf8.count)")
            }
            let principal = self.principal(of: exchange)
            let own = ToolCaller(principal, in: namespace)
            // Who may see functions sees what they offer, whether it may call it or not.
            let caller =
                principal.roles.allow([.reader, .deployer], in: namespace)
                ? ToolCaller(name: own.name, namespace: namespace, scopes: [], roles: [.admin]) : own
            guard let question else {
                return self.answerFromStore(exchange) { (all) throws(ApusError) in
                    let catalog = try Self.catalog(all, namespace, server)
                    return StoreAnswer(["items": .array(catalog.tools(on: server, for: caller).map(Self.toolJSON))])
                }
            }
            ToolEndpoint(server: self.server, runtime: self.runtime).meaning(namespace).find(question) { meaning in
                self.answerFromStore(exchange) { (all) throws(ApusError) in
                    let found = try Self.catalog(all, namespace, server).find(
                        question, limit: limit, on: server, for: caller, meaning: meaning)
                    return StoreAnswer([
                        "items": .array(found.tools.map(Self.toolJSON)), "ranking": .string(found.ranking.rawValue),
                    ])
                }
            }
        }
    }

    private static func catalog(_ all: Server, _ namespace: Namespace, _ server: String?) throws(ApusError)
        -> ToolCatalog
    {
        let catalog = all.tools[namespace]
        if let server, catalog.server(named: server) == nil {
            throw ApusError(
                .notFound, "there is no tool server '\(server.prefix(64))': see `apus get tool-servers`")
        }
        return catalog
    }

    private static func toolJSON(_ tool: Tool) -> JSONValue {
        // A deploy has parsed it; a damaged one is shown as none.
        let definition = (try? JSONValue.parse(tool.encoded)) ?? .null
        return [
            "name": .string(tool.name.text), "function": .string(tool.function.name), "version": .number(tool.version),
            "title": tool.title.map { .string($0) } ?? .null,
            "description": tool.description.map { .string($0) } ?? .null,
            "scopes": .array(tool.scopes.map { .string($0) }), "approval": .string(tool.approval.when.rawValue),
            "definition": definition,
        ]
    }
}

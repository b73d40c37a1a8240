internal import ApusCore
internal import ApusHTTP

/// Triggers on topics, and how far each is.
extension Routes {
    func addSubscriptions(to table: inout RouteTable) {
        table.add(
            Operation(
                "listSubscriptions", "GET", "/v1/subscriptions",
                "Triggers on topics: how far each is, what holds it up.",
                .read)
        ) { self.listSubscriptions($0, $1) }
    }

    private func listSubscriptions(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let query = try self.query(exchange)
            if let name = query.unexpected(besides: ["function", "trigger", "partitions"]) {
                throw ApusError(
                    .invalidArgument,
                    "'\(name.prefix(64))' is no parameter here: function, trigger and partitions are")
            }
            if let text = query["partitions"], !["true", "false"].contains(text) {
                throw ApusError(.invalidArgument, "partitions=\(text.prefix(32)): true or false is expected")
            }
            let asked = SubscriptionReport(
                namespace: try self.namespace(parameters), function: query["function"], trigger: query["trigger"],
                showsPartitions: query["partitions"] == "true")
            let reply = exchange.reply()
            asked.gather(self.server) { json in
                guard let json else {
                    return reply.respond(Problem(.overloaded, "too many reads wait: try again in a moment"))
                }
                reply.respond(status: 200, headers: [("Content-Type", "application/json")], body: json)
            }
        }
    }
}

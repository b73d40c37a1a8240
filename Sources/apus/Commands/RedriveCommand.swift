internal import ApusCore
internal import ApusJSON

/// `apus dead redrive`: ids, or what a filter leaves, part by part, each in one transaction of the server.
struct RedriveCommand {
    let context: CommandContext

    func run() throws {
        let given = self.context.arguments.all("ID")
        let filter = try DeadCommand.filter(self.context)
        let client = try self.context.client()
        guard given.isEmpty else {
            guard filter.isEmpty, !self.context.arguments.has("--all") else {
                throw UsageError("a filter or --all, and an ID, exclude each other; leave one of them out")
            }
            return given.count == 1 ? try self.one(given[0], client) : try self.ids(given, client)
        }
        guard !filter.isEmpty || self.context.arguments.has("--all") else {
            throw UsageError("ID is missing: name dead letters, a filter, or all open ones with --all")
        }
        try self.all(filter, client)
    }

    private func one(_ id: String, _ client: APIClient) throws {
        _ = try client.call(APIRequest(.post, client.path("dead-letters", id, "redrive"), body: []))
        try self.context.show(["redriven": 1]) { "redriven \(id)\n" }
    }

    private func ids(_ given: [String], _ client: APIClient) throws {
        guard given.count <= Limits.Commands.redrivenIDs else {
            throw UsageError("at most \(Limits.Commands.redrivenIDs) ids can be given; a filter takes any number")
        }
        var tally = Tally()
        var left = given
        while !left.isEmpty {
            let part = try self.ask(["ids": .array(left.map { .string($0) })], &tally, client)
            left = (part["left"]?.array ?? []).compactMap(\.string)
        }
        try self.finish(tally)
    }

    private func all(_ filter: [(name: String, value: String)], _ client: APIClient) throws {
        var tally = Tally()
        var body = JSONObject(filter.map { ($0.name, .string($0.value)) })
        while true {
            let part = try self.ask(.object(body), &tally, client)
            guard let next = part["next"]?.integer else { break }
            body["after"] = .integer(next)
        }
        try self.finish(tally)
    }

    private struct Tally {
        var redriven = 0
        var refused: [JSONValue] = []
    }

    private func ask(_ body: JSONValue, _ tally: inout Tally, _ client: APIClient) throws -> JSONValue {
        let part = try client.call(APIRequest(.post, client.path("redrives"), json: body)).json()
        let ids = (part["redriven"]?.array ?? []).compactMap(\.string)
        tally.redriven += ids.count
        if self.context.output == .table { for id in ids { try self.context.terminal.line("redriven \(id)") } }
        for refused in part["refused"]?.array ?? [] {
            self.context.note("\(refused["id"]?.string ?? ""): \(refused["message"]?.string ?? "")")
            tally.refused.append(refused)
        }
        return part
    }

    private func finish(_ tally: Tally) throws {
        if self.context.output == .table {
            if tally.redriven == 0, tally.refused.isEmpty { try self.context.terminal.line("no dead letters") }
        } else {
            try self.context.show(["redriven": .number(tally.redriven), "refused": .array(tally.refused)]) { "" }
        }
        guard tally.refused.isEmpty else {
            throw ApusError(
                .conflict, "\(tally.refused.count) dead letters could not be redriven, \(tally.redriven) were")
        }
    }
}

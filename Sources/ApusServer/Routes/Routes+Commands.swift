internal import ApusCore
internal import ApusHTTP
internal import ApusJSON
internal import ApusLoop
internal import ApusStore

/// What became of a write whose caller got no answer in time.
extension Routes {
    func addCommands(to table: inout RouteTable) {
        table.add(
            Operation("getCommand", "GET", "/v1/commands/{command}", "What became of a write.", .read)
        ) { self.getCommand($0, $1) }
    }

    private func getCommand(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answerFromStore(exchange) { (server) throws(ApusError) in
            // The id is known to whoever asked for the write, and cannot be guessed.
            guard let id = CommandID(parameters["command"] ?? "") else {
                throw ApusError(.invalidArgument, "a command's id has 32 hexadecimal digits")
            }
            guard let answer = try Self.answer(to: id, on: server.log) else {
                throw ApusError(
                    .notFound,
                    "nothing was decided under the id \(id) in the last hour; once its deadline has passed nothing will be"
                )
            }
            return StoreAnswer(try Self.json(answer))
        }
    }

    /// Reads the answers of the last hour: rarely asked for, and few.
    private static func answer(to id: CommandID, on log: any EventLog) throws(ApusError) -> CommandAnswer? {
        guard let topic = log.topic(.answers) else { return nil }
        let key = Array(id.description.utf8)
        // Writes with idempotency keys lie on the others, and nobody is told their ids.
        for partition in 0..<min(1, topic.partitions) {
            let place = TopicPartition(.answers, partition)
            let bounds = try log.bounds(of: place)
            var found: CommandAnswer?
            try log.readAll(
                place, from: bounds.start, to: bounds.end, maxRecords: Limits.Server.recordsPerFollow,
                maxBytes: Limits.Server.bytesPerRead
            ) { _, block in
                guard let event = try? EventBlock.decode(block.bytes), event.key == key else { return true }
                found = try? CommandAnswer(event)
                return found == nil
            }
            if let found { return found }
        }
        return nil
    }

    private static func json(_ answer: CommandAnswer) throws(ApusError) -> JSONValue {
        var json: JSONValue = [
            "id": .string(answer.id.description), "decided": .string(RFC3339.format(answer.decided)),
        ]
        switch answer.outcome {
        case .done(let payload):
            json["result"] = .array(try ControlDecision.Outcome.decode(payload).map(\.json))
        case .refused(let code, let message):
            json["error"] = ["code": .string(code.rawValue), "message": .string(message)]
        }
        return json
    }
}

internal import ApusCore
internal import ApusJSON

enum CommandLookup {
    // `apus get command ID`.

    /// What became of a write whose answer did not come in time, among servers that share one log.
    static func show(_ context: CommandContext) throws {
        guard let id = context.arguments["NAME"] else {
            throw UsageError("expected the id that the message named: 'apus get command ID'")
        }
        let answer = try context.client().call(APIRequest(.get, "/v1/commands/\(PercentEncoding.encode(id))")).json()
        try context.show(answer) {
            var table = TextTable(["COMMAND", "DECIDED", "RESULT"])
            let results = (answer["result"]?.array ?? []).map { outcome in
                [outcome["kind"], outcome["name"], outcome["action"]].compactMap { $0?.string }.joined(separator: " ")
            }
            let refusal = answer["error"].map {
                "refused: \($0["message"]?.string ?? "") (\($0["code"]?.string ?? ""))"
            }
            table.add([id, answer["decided"]?.string ?? "-", refusal ?? results.joined(separator: ", ")])
            return table.render(width: nil)
        }
    }
}

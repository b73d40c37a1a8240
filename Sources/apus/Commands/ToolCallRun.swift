internal import ApusCore
internal import ApusJSON
internal import ApusTools

/// One call of a tool: shows how it goes, and asks what the tool asks.
struct ToolCallRun {
    let context: CommandContext

    func run() throws {
        let name = self.context.arguments["NAME"] ?? ""
        let given = try self.context.arguments["--data"].map { (text) throws(ApusError) in
            try DataArgument.read(text, self.context.terminal)
        }
        let arguments = given ?? Array("{}".utf8)
        guard try JSONValue.parse(arguments).object != nil else {
            throw ApusError(.invalidArgument, "--data is no JSON object: the arguments of a tool have names")
        }
        let conversation = try ToolConversation(context: self.context)
        var answers: JSONValue?
        var state: String?
        for _ in 0..<Limits.Commands.toolRounds {
            let result = try conversation.ask(
                "tools/call", named: name, takesTasks: self.context.arguments.has("--detach")
            ) { writer in
                writer.member("name", name)
                writer.key("arguments")
                writer.raw(arguments)
                if let answers { writer.member("inputResponses", answers) }
                if let state { writer.member("requestState", state) }
            }
            switch result["resultType"]?.string {
            case "input_required":
                state = result["requestState"]?.string
                answers = try ToolForm(context: self.context).answer(result["inputRequests"]?.object ?? [:])
            case "task": return try self.context.show(result) { "\(result["taskId"]?.string ?? "")\n" }
            default: return try ToolOutput(context: self.context).show(result)
            }
        }
        throw ApusError(.functionFailed, "the tool '\(name)' still asks after \(Limits.Commands.toolRounds) rounds")
    }
}

internal import ApusCore
internal import ApusJSON

/// Asks what became of a task until it has ended, and answers what it asks.
struct ToolTaskRun {
    let context: CommandContext

    private var id: String { self.context.arguments["ID"] ?? "" }

    func run() throws {
        let conversation = try ToolConversation(context: self.context)
        if self.context.arguments.has("--cancel") {
            _ = try self.ask(conversation, "tasks/cancel")
            return self.context.note("the task is being cancelled")
        }
        while true {
            let task = try self.ask(conversation, "tasks/get")
            switch task["status"]?.string {
            case "completed": return try ToolOutput(context: self.context).show(task["result"] ?? [:])
            case "failed":
                throw ApusError(
                    .functionFailed, SafeText.of(task["error"]?["message"]?.string ?? "the server failed the task"))
            case "cancelled": throw ApusError(.cancelled, "the task was cancelled")
            case "input_required":
                let answers = try ToolForm(context: self.context).answer(task["inputRequests"]?.object ?? [:])
                _ = try self.ask(conversation, "tasks/update", answers)
            default:
                if let text = task["statusMessage"]?.string { conversation.note(progress: text) }
                let milliseconds = task["pollIntervalMs"]?.integer ?? Limits.Commands.taskLookMilliseconds
                self.context.terminal.pause(
                    milliseconds: UInt32(clamping: min(milliseconds, Limits.Commands.taskLookMilliseconds)))
            }
        }
    }

    private func ask(_ conversation: ToolConversation, _ method: String, _ answers: JSONValue? = nil) throws -> JSONValue {
        try conversation.ask(method, named: self.id, takesTasks: true) { writer in
            writer.member("taskId", self.id)
            if let answers { writer.member("inputResponses", answers) }
        }
    }
}

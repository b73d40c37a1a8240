internal import ApusCore
internal import ApusJSON

/// What operators do with a function: pause, resume, roll back, warm.
extension Command {
    static let pause = Command(
        CommandDescription(
            name: "pause", summary: "begin nothing of a function, or of one of its triggers, for now",
            details: """
                Events and accepted invocations wait; what runs goes on. Calls that wait for a result are refused.
                Schedules do afterwards what their `missed` says. A deploy does not end a pause; `apus resume` does.
                """,
            positionals: [PositionalDescription(name: "NAME", summary: "the function", values: .functions)],
            options: OperateCommand.trigger,
            examples: [
                .init("apus pause embed-text", "The function whole"),
                .init("apus pause embed-text --trigger documents", "One of its triggers"),
            ]
        )
    ) { context in try OperateCommand(context: context).setPause("pause") }

    static let resume = Command(
        CommandDescription(
            name: "resume", summary: "let a function, or one of its triggers, run again",
            positionals: [PositionalDescription(name: "NAME", summary: "the function", values: .functions)],
            options: OperateCommand.trigger,
            examples: [
                .init("apus resume embed-text", "The function; triggers paused one by one stay so"),
                .init("apus resume embed-text --trigger documents", "One of its triggers"),
            ]
        )
    ) { context in try OperateCommand(context: context).setPause("resume") }

    static let rollback = Command(
        CommandDescription(
            name: "rollback", summary: "return to an earlier revision of a function",
            details: """
                The revision's code, dependencies and manifest are deployed once more, as a new generation. Triggers that both
                have keep their positions. The newest revisions are kept, ten unless `retention.revisions` says otherwise: see
                `apus get revisions NAME`.
                """,
            positionals: [
                PositionalDescription(name: "NAME", summary: "the function", values: .functions),
                PositionalDescription(
                    name: "REVISION", summary: "the start of its name; the one before when left out", isOptional: true),
            ],
            options: [.value("--if-generation", "NUMBER", "only while it is at this generation")],
            examples: [
                .init("apus rollback embed-text", "Return to the one before"),
                .init("apus rollback embed-text 3f9a21c0", "Return to this one"),
            ]
        )
    ) { context in try OperateCommand(context: context).rollback() }

    static let warm = Command(
        CommandDescription(
            name: "warm", summary: "start a worker of a function ahead of use, and tell how that went",
            positionals: [PositionalDescription(name: "NAME", summary: "the function", values: .functions)],
            examples: [.init("apus warm embed-text", "Spare the first caller the start; see whether it loads at all")]
        )
    ) { context in try OperateCommand(context: context).warm() }
}

private struct OperateCommand {
    static let trigger: [OptionDescription] = [.value("--trigger", "TRIGGER", "this trigger only")]

    let context: CommandContext
    private var name: String { self.context.arguments["NAME"] ?? "" }

    private func post(_ verb: String, _ body: JSONValue, headers: [(name: String, value: String)] = []) throws
        -> JSONValue
    {
        let client = try self.context.client()
        var request = APIRequest(.post, client.path("functions", self.name, verb), json: body)
        request.headers += headers
        return try client.call(request).json()
    }

    func setPause(_ verb: String) throws {
        let trigger = self.context.arguments["--trigger"]
        let answer = try self.post(verb, trigger.map { ["trigger": .string($0)] } ?? [:])
        try self.context.show(answer) {
            let what = trigger.map { "trigger \($0) of \(self.name)" } ?? "function \(self.name)"
            guard answer["action"]?.string != "unchanged" else {
                return verb == "pause" ? "\(what) was paused before\n" : "\(what) was not paused\n"
            }
            return "\(verb)d \(what)\n"
        }
    }

    func rollback() throws {
        var headers: [(name: String, value: String)] = []
        if let generation = try self.context.arguments.integer("--if-generation", in: 1...Int.max) {
            headers.append(("If-Match", "\"\(generation)\""))
        }
        let revision = self.context.arguments["REVISION"]
        let answer = try self.post("rollback", revision.map { ["revision": .string($0)] } ?? [:], headers: headers)
        try self.context.show(answer) {
            let short = String((answer["revision"]?.string ?? "").prefix(12))
            let generation = answer["generation"]?.unsigned.map(String.init) ?? ""
            return answer["action"]?.string == "unchanged"
                ? "\(self.name) runs revision \(short) already\n"
                : "\(self.name) runs revision \(short) again, as generation \(generation)\n"
        }
    }

    func warm() throws {
        let isWatched = self.context.terminal.isErrorInteractive && self.context.output == .table
        let answer =
            isWatched
            ? try WarmProgress(context: self.context, name: self.name).wait(
                for: APIRequest(.post, try self.context.client().path("functions", self.name, "warm"), json: [:]))
            : try self.post("warm", [:])
        try self.context.show(answer) {
            "\(self.name) is ready (\(answer["milliseconds"]?.integer.map(String.init) ?? "?") ms)\n"
        }
    }
}

internal import ApusCore
internal import ApusJSON

extension Command {
    static let doctor = Command(
        CommandDescription(
            name: "doctor", summary: "say what this machine can enforce, and what is missing",
            details: """
                Looks at this machine and at the configuration that `apus serve` would use, then asks the running server; where
                none runs, starts a sandbox nursery for a moment to look: root's, or for anybody else the one that
                `apus serve --rootless` would have. Ends with exit code 1 when something is missing without which functions do
                not run.
                """,
            options: [.flag("--rootless", "look as `apus serve --rootless` would; the same as without root")],
            examples: [
                .init("sudo apus doctor", "Is this machine fit?"),
                .init("apus doctor --rootless", "Is it fit for a server without root, and what would be lost?"),
                .init("apus doctor --output json", "For programs"),
            ]
        )
    ) { context in
        let configuration = ConfigurationChecks(arguments: context.arguments, environment: context.environment)
        let checks = HostChecks().all() + configuration.all() + (try IsolationChecks(context: context).all())
        let answer: JSONValue = [
            "fit": .boolean(!checks.contains { $0.state == .missing }),
            "checks": .array(
                checks.map {
                    ["name": .string($0.name), "state": .string($0.state.rawValue), "detail": .string($0.detail)]
                }),
        ]
        try context.show(answer) {
            var table = TextTable(["CHECK", "STATE", "DETAIL"])
            for check in checks { table.add([check.name, check.state.rawValue, check.detail]) }
            return table.render(width: nil)
        }
        let missing = checks.filter { $0.state == .missing }.map(\.name)
        guard missing.isEmpty else {
            throw ApusError(
                .sandboxUnavailable, "this machine lacks: \(missing.joined(separator: ", ")); see the details above")
        }
    }
}

internal import ApusJSON

/// The version of this build.
enum Version {
    static let text = "0.1.0"
}

extension Command {
    static let version = Command(
        CommandDescription(
            name: "version", summary: "print the version",
            examples: [
                .init("apus version", "Which version is this?"), .init("apus version --output json", "For programs"),
            ]
        )
    ) { context in
        try context.show(["version": .string(Version.text)]) { "apus \(Version.text)\n" }
    }

    /// Only for the table: help is answered before any command runs.
    static let help = Command(
        CommandDescription(
            name: "help", summary: "show help, of a command if you name one",
            positionals: [
                PositionalDescription(name: "COMMAND", summary: "the command", isOptional: true, repeats: true)
            ],
            examples: [.init("apus help publish", "How do I publish events?")]
        )
    ) { _ in }
}

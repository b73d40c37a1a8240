/// A command: what it is called and takes, and what it does.
struct Command: Sendable {
    let description: CommandDescription
    /// Runs it; an error thrown is printed and becomes the exit code.
    let run: @Sendable (CommandContext) throws -> Void

    init(_ description: CommandDescription, _ run: @escaping @Sendable (CommandContext) throws -> Void) {
        self.description = description
        self.run = run
    }
}

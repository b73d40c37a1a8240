internal import ApusCore
internal import Glibc

@main
struct Apus {
    static func main() {
        // A reader that leaves is seen as an error of the write, and ends the command quietly.
        signal(SIGPIPE, SIG_IGN)
        let environment = Self.environment()
        let tool = CommandLineTool(
            commands: CommandTable.all, notYetAvailable: CommandTable.notYetAvailable, environment: environment,
            terminal: SystemTerminal(),
            connect: { server throws(ApusError) in
                try HTTPTransport(server: server, authorities: environment["APUS_CA"])
            }
        )
        exit(tool.run(Array(CommandLine.arguments.dropFirst())))
    }

    /// The environment, read once.
    private static func environment() -> [String: String] {
        var result: [String: String] = [:]
        var at = environ
        while let entry = at.pointee {
            let parts = String(cString: entry).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2, !parts[1].isEmpty { result[String(parts[0])] = String(parts[1]) }
            at += 1
        }
        return result
    }
}

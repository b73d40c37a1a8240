internal import ApusCore
internal import ApusJSON
internal import ApusStore

/// What a running command has at hand.
final class CommandContext {
    enum Output: String { case table, json, yaml }

    let arguments: ParsedArguments
    /// The subcommand, as `list` of `apus dead list`.
    let subcommand: String?
    let environment: [String: String]
    let terminal: any Terminal
    private let connect: (ServerAddress) throws(ApusError) -> any Transport

    init(
        arguments: ParsedArguments, subcommand: String?, environment: [String: String], terminal: any Terminal,
        connect: @escaping (ServerAddress) throws(ApusError) -> any Transport
    ) {
        self.arguments = arguments
        self.subcommand = subcommand
        self.environment = environment
        self.terminal = terminal
        self.connect = connect
    }

    var output: Output { self.arguments["--output"].flatMap(Output.init(rawValue:)) ?? .table }

    /// How standard output is coloured: for people, unless they said otherwise.
    var paint: Paint { Paint(isColoured: self.terminal.isInteractive && self.allowsColours) }
    /// The same for standard error.
    var errorPaint: Paint { Paint(isColoured: self.terminal.isErrorInteractive && self.allowsColours) }
    private var allowsColours: Bool { self.environment["NO_COLOR"] == nil && self.environment["TERM"] != "dumb" }

    func namespace() throws(UsageError) -> Namespace {
        let text = self.arguments["--namespace"] ?? self.environment["APUS_NAMESPACE"] ?? "default"
        guard let namespace = Namespace(text) else {
            throw UsageError("the namespace '\(text)' is none: 1 to 63 of a-z, 0-9 and '-' are expected")
        }
        return namespace
    }

    /// The data directories that are looked into for an admin token.
    var dataFolders: [String] {
        if let folder = self.environment["APUS_DATA"] { return [folder] }
        return ["./.apus"] + [RootlessFolder.find(self.environment)].compactMap { $0 } + [RootlessFolder.root]
    }

    func server() throws(UsageError) -> ServerAddress {
        try ServerAddress(self.arguments["--server"] ?? self.environment["APUS_SERVER"] ?? ServerAddress.default)
    }

    func client() throws -> APIClient {
        let server = try self.server()
        let search = TokenSearch(
            given: self.arguments["--token"] ?? self.environment["APUS_TOKEN"], server: server,
            folders: self.dataFolders
        )
        let client = APIClient(
            transport: try self.connect(server), namespace: try self.namespace(), server: server.url,
            token: search.token,
            tokenHint: search.hint
        )
        client.position = self.environment["APUS_POSITION"].flatMap { $0.isEmpty ? nil : $0 }
        return client
    }

    /// Where the server is and the token for it, for what speaks with it in another way than commands do.
    func access() throws -> (server: ServerAddress, token: String?, authorities: String?) {
        let server = try self.server()
        let search = TokenSearch(
            given: self.arguments["--token"] ?? self.environment["APUS_TOKEN"], server: server,
            folders: self.dataFolders)
        return (server, search.token, self.environment["APUS_CA"])
    }

    /// Prints a value as `--output` says; `table` makes the text for people.
    func show(_ value: JSONValue, table: () throws -> String) throws {
        switch self.output {
        case .table: try self.terminal.write(try table())
        case .json: try self.terminal.write(value.pretty + "\n")
        case .yaml: try self.terminal.write(YAMLText.of(value))
        }
    }

    /// `3m ago` of a time in an answer; the text itself when it is none.
    func ago(_ value: JSONValue?) -> String {
        guard let text = value?.string, let time = RFC3339.parse(text) else { return value?.string ?? "" }
        return TimeText.relative(time, now: self.terminal.now)
    }

    /// `2026-03-01 14:05:09Z (3m ago)` of a time in an answer.
    func time(_ value: JSONValue?) -> String {
        guard let text = value?.string, let time = RFC3339.parse(text) else { return value?.string ?? "" }
        return TimeText.both(time, now: self.terminal.now)
    }

    /// A line of progress, to standard error so that output stays clean.
    func note(_ text: String) { self.terminal.writeError(text + "\n") }
}

internal import ApusCore

extension Command {
    static let agentBridge = Command(
        CommandDescription(
            name: "mcp", summary: "let an agent on this machine use the tools, over standard input and output",
            details: """
                For agents that start their tool servers as programs. Each line of standard input is a message of the Model Context Protocol for
                the server, each line of standard output one of its own; nothing else is written there. It ends with its input.
                """,
            positionals: [
                PositionalDescription(
                    name: "SERVER", summary: "a tool server; by default all tools of the namespace", isOptional: true)
            ],
            options: [.flag("--stdio", "the only way there is; said so that it can be told from others that may come")],
            examples: [
                .init("apus mcp --stdio", "All tools"),
                .init("apus mcp --stdio search", "Those of the tool server 'search'"),
            ]
        )
    ) { context in
        let (server, token, authorities) = try context.access()
        let namespace = try context.namespace()
        let path = (namespace == .default ? "/mcp" : "/v1/namespaces/\(namespace)/mcp")
        let name = context.arguments["SERVER"].map { "/" + PercentEncoding.encode($0) } ?? ""
        let bridge = AgentBridge(
            url: server.url + path + name, token: token, authorities: authorities, terminal: context.terminal)
        try bridge.run()
    }
}

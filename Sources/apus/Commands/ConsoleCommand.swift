internal import ApusCore
internal import ApusJSON
internal import Glibc

extension Command {
    static let console = Command(
        CommandDescription(
            name: "console", summary: "print a link that logs a browser in",
            details: """
                The link works once, for 60 seconds. The browser may then do what the token of this command may, until it
                logs out, asks for nothing for two hours, or twelve hours have passed.
                """,
            options: [.flag("--open", "open it in a browser too, with xdg-open")],
            examples: [
                .init("apus console", "A link to paste into a browser"),
                .init("apus console --open", "On a machine with a desktop"),
            ]
        )
    ) { context in
        let client = try context.client()
        let answer = try client.call(APIRequest(.post, "/v1/logins", body: [])).json()
        guard let path = answer["path"]?.string else {
            throw ApusError(.internal, "the answer of \(client.server) holds no link: is it an apus server?")
        }
        let link = client.server + path
        try context.show(["link": .string(link), "expires": answer["expires"] ?? .null]) { link + "\n" }
        if context.arguments.has("--open"), !Browser.open(link, environment: context.environment) {
            context.note("no browser could be opened here: paste the link into one")
        }
    }
}

/// Opens pages in the browser of whoever runs the command.
enum Browser {
    /// - Returns: whether `xdg-open` took the link.
    static func open(_ link: String, environment: [String: String]) -> Bool {
        var words: [UnsafeMutablePointer<CChar>?] = [strdup("xdg-open"), strdup(link), nil]
        var variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in words + variables { free(text) } }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // Standard output stays the link alone.
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        var child = pid_t()
        guard posix_spawnp(&child, "xdg-open", &actions, nil, &words, &variables) == 0 else { return false }
        var status: CInt = 0
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
        return status == 0
    }
}

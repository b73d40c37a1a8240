internal import ApusCore
internal import ApusServer

extension Command {
    static let serve = Command(
        CommandDescription(
            name: "serve", summary: "run the server",
            details: """
                Starts as root, opens its socket, starts the nursery that makes sandboxes, and drops to an unprivileged
                user. It ends gracefully on SIGTERM or Ctrl-C: callers are refused, what runs may finish, the rest is
                redelivered at the next start.
                """,
            options: [
                .value("--data", "FOLDER", "the data directory (APUS_DATA; /var/lib/apus)", values: .files),
                .value("--listen", "ADDRESS:PORT", "where to listen; port 0 takes a free one (127.0.0.1:8787)"),
                .value("--port-file", "FILE", "write the port there once the server is ready", values: .files),
                .value("--shards", "N", "event loops, each with an engine of its own (1)"),
                .value(
                    "--durability", "WHEN", "fsync: acknowledged events survive power loss; process: kill -9",
                    values: .oneOf(["fsync", "process"])),
                .value("--map-size", "SIZE", "the most that the log may grow to, as 64Gi (64Gi)"),
                .value("--drain", "SECONDS", "how long running work may go on after SIGTERM (5)"),
                .value("--allow-host", "HOST", "another name under which clients may call", repeats: true),
                .value("--log-format", "FORMAT", "text or json", values: .oneOf(["text", "json"])),
                .flag("--behind-proxy", "allow an address that is not loopback: a proxy in front ends TLS"),
            ],
            examples: [
                .init("sudo apus serve", "Serve on 127.0.0.1:8787 with data in /var/lib/apus"),
                .init(
                    "sudo apus serve --data $PWD/.apus --listen 127.0.0.1:0 --port-file port",
                    "A server to try things on"),
            ]
        )
    ) { context in
        let options = try ServeOptions(context.arguments, context.environment)
        try ServerProcess.run(options)
    }
}

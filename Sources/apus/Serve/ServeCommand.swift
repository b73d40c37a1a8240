internal import ApusCore
internal import ApusManifest
internal import ApusServer

extension Command {
    static let serve = Command(
        CommandDescription(
            name: "serve", summary: "run the server",
            details: """
                Starts as root, opens its socket, starts the nursery that makes sandboxes, and drops to an unprivileged
                user. It ends gracefully on SIGTERM or Ctrl-C: callers are refused, what runs may finish, the rest is
                redelivered at the next start. SIGHUP opens the log file anew.

                Every setting has a field in apus.yaml (--config, APUS_CONFIG, else /etc/apus/apus.yaml), which a variable
                APUS_… and then an option here overrides. --print-config shows all of them.
                """,
            options: ConfigurationTable.fields.compactMap(\.describedOption) + [
                .value("--port-file", "FILE", "write the port there once the server is ready", values: .files),
                .flag("--upgrade", "take over from the server that runs, without refusing a connection"),
                .flag("--background", "with --upgrade: return once the new server serves"),
                .flag("--print-config", "print every setting, its value and where that came from, and end"),
            ],
            examples: [
                .init("sudo apus serve", "Serve on 127.0.0.1:8787 with data in /var/lib/apus"),
                .init(
                    "sudo apus serve --data $PWD/.apus --listen 127.0.0.1:0 --port-file port",
                    "A server to try things on"),
                .init("apus serve --print-config > apus.yaml", "A configuration file to edit, with every field"),
                .init(
                    "sudo apus serve --upgrade --background", "Let the installed version take over from the running one"
                ),
            ]
        )
    ) { context in
        if context.arguments.has("--print-config") {
            let configuration = try Configuration(context.arguments, context.environment)
            try context.terminal.write(ConfigurationText.of(configuration, showsOrigins: true))
            return
        }
        try ServerProcess.run(
            try ServeOptions(context.arguments, context.environment), Supervisor(context.environment))
    }
}

extension ConfigurationField {
    /// The option with the variable and the default in its help.
    fileprivate var describedOption: OptionDescription? {
        guard var option = self.option else { return nil }
        let standard = self.setting.standard.map { $0 == "[]" || $0 == "false" ? "" : "; \($0)" } ?? ""
        option.summary += " (\(self.variable)\(standard))"
        return option
    }
}

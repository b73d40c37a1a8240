/// What a command is called, takes and does: the one place that parsing, help and completion are made from.
struct CommandDescription: Sendable {
    /// As typed after `apus`: `deploy`, or `list` below `dead`.
    var name: String
    /// One line, no period.
    var summary: String
    /// Paragraphs for the command's own help; may be empty.
    var details = ""
    var positionals: [PositionalDescription] = []
    var options: [OptionDescription] = []
    var examples: [Example] = []
    var subcommands: [CommandDescription] = []
    /// The subcommand that is meant where none is named.
    var main: String?

    struct Example: Sendable, Equatable {
        /// A whole command line.
        var line: String
        var comment: String

        init(_ line: String, _ comment: String) {
            self.line = line
            self.comment = comment
        }
    }
}

/// What a value stands for, so that a shell can offer it.
enum ArgumentValues: Sendable, Equatable {
    case anything
    case files
    case functions
    case topics
    case deadLetters
    case devices
    /// Those that wait.
    case approvals
    /// One of these and nothing else.
    case oneOf([String])
}

struct PositionalDescription: Sendable {
    /// In capitals: `TOPIC`.
    var name: String
    var summary: String
    var isOptional = false
    /// Takes all that follow; only the last may.
    var repeats = false
    var values = ArgumentValues.anything
}

struct OptionDescription: Sendable {
    /// With its hyphens: `--data`.
    var name: String
    /// With its hyphen: `-n`.
    var short: String?
    /// The name of its value in help; nil for a flag.
    var placeholder: String?
    var summary: String
    /// May be given several times.
    var repeats = false
    var values = ArgumentValues.anything

    static func flag(_ name: String, short: String? = nil, _ summary: String) -> OptionDescription {
        OptionDescription(name: name, short: short, summary: summary)
    }

    static func value(
        _ name: String, short: String? = nil, _ placeholder: String, _ summary: String, repeats: Bool = false,
        values: ArgumentValues = .anything
    ) -> OptionDescription {
        OptionDescription(
            name: name, short: short, placeholder: placeholder, summary: summary, repeats: repeats, values: values)
    }
}

extension OptionDescription {
    /// The options that every command takes.
    static let common: [OptionDescription] = [
        .value("--namespace", short: "-n", "NAMESPACE", "the namespace to work in (APUS_NAMESPACE; default)"),
        .value("--output", short: "-o", "FORMAT", "table, json or yaml", values: .oneOf(["table", "json", "yaml"])),
        .value("--server", "URL", "the server to talk to (APUS_SERVER; http://127.0.0.1:8787)"),
        .value(
            "--token", "TOKEN",
            "the token to show it (APUS_TOKEN; else the admin token of a data directory on this machine)"),
        .value("--config", "FILE", "the configuration file (APUS_CONFIG)", values: .files),
        .flag("--help", short: "-h", "show this help"),
    ]
}

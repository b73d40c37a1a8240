internal import ApusCore
internal import ApusJSON
internal import ApusSandbox
internal import Glibc

extension Command {
    static let initialize = Command(
        CommandDescription(
            name: "init", summary: "make a folder with a working function and its test",
            details: "Nothing that is there is overwritten.",
            positionals: [PositionalDescription(name: "NAME", summary: "the function's name, and the folder's")],
            options: [
                .value(
                    "--runtime", "RUNTIME", "what it is written for (python3)",
                    values: .oneOf(FunctionTemplate.Runtime.allCases.map(\.rawValue))),
                .value(
                    "--trigger", "TRIGGER", "what starts it besides a direct call (none)",
                    values: .oneOf(FunctionTemplate.Trigger.allCases.map(\.rawValue))),
                .value("--folder", "FOLDER", "another folder than NAME", values: .files),
            ],
            examples: [
                .init("apus init hello", "A function in Python"),
                .init("apus init hello --runtime node", "A function in JavaScript"),
                .init("apus init count-words --runtime exec --trigger topic", "A shell script that reads a topic"),
                .init("apus init greeter --trigger tool", "A tool for agents"),
            ]
        )
    ) { context in
        let name = context.arguments["NAME"] ?? ""
        guard isLabel(name) else {
            throw UsageError(
                "the name '\(name)' is none: 1 to 63 of a-z, 0-9 and '-' are expected, first and last no '-'")
        }
        let template = FunctionTemplate(
            name: name, runtime: context.arguments["--runtime"].flatMap(FunctionTemplate.Runtime.init) ?? .python3,
            trigger: context.arguments["--trigger"].flatMap(FunctionTemplate.Trigger.init) ?? .none,
            sdk: try InstalledFiles.sdk())
        let folder = context.arguments["--folder"] ?? name
        try NewFolder.write(template.files, to: folder)
        let files = template.files.map(\.path)
        try context.show(["folder": .string(folder), "files": .array(files.map { .string($0) })]) {
            "made \(folder):\n" + files.map { "  \($0)\n" }.joined() + "next: cd \(folder) && apus deploy . --wait\n"
        }
    }
}

/// Writes files into a folder that is new or empty.
enum NewFolder {
    static func write(_ files: [FunctionTemplate.File], to folder: String) throws(ApusError) {
        try Self.make(folder)
        guard try Self.isEmpty(folder) else {
            throw ApusError(
                .alreadyExists, "the folder '\(folder)' holds something: give another name, or an empty --folder")
        }
        for file in files {
            var below = folder
            for part in file.path.split(separator: "/").dropLast() {
                below += "/\(part)"
                try Self.make(below)
            }
            try Self.write(file, to: "\(folder)/\(file.path)")
        }
    }

    private static func make(_ folder: String) throws(ApusError) {
        guard mkdir(folder, 0o777) != 0, errno != EEXIST else { return }
        throw Self.failure("the folder '\(folder)' cannot be made")
    }

    private static func isEmpty(_ folder: String) throws(ApusError) -> Bool {
        guard let directory = opendir(folder) else { throw Self.failure("the folder '\(folder)' cannot be read") }
        defer { closedir(directory) }
        var entries = 0
        while readdir(directory) != nil { entries += 1 }
        // Every folder holds itself and the one above it.
        return entries <= 2
    }

    private static func write(_ file: FunctionTemplate.File, to path: String) throws(ApusError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, file.isExecutable ? 0o777 : 0o666)
        guard descriptor >= 0 else { throw Self.failure("'\(path)' cannot be made") }
        defer { close(descriptor) }
        let bytes = Array(file.text.utf8)
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            throw Self.failure("'\(path)' cannot be written")
        }
    }

    private static func failure(_ what: String) -> ApusError {
        ApusError(.invalidArgument, "\(what): \(String(cString: strerror(errno)))")
    }
}

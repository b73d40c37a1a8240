internal import ApusCore
internal import ApusServer
internal import ApusStore
internal import Glibc

extension Command {
    static let backup = Command(
        CommandDescription(
            name: "backup", summary: "copy everything that must last, while the server serves",
            details: """
                Events, positions, what is deployed and the bundles of its functions, as they are at one moment. The admin token is
                not in it; dependency layers are built again. The file appears under its name once it is whole and on the disk.
                """,
            positionals: [
                PositionalDescription(
                    name: "TARGET", summary: "a file, a folder for a file named by the time, or - for standard output",
                    values: .files)
            ],
            options: [.flag("--force", "replace the file when it is there")],
            examples: [
                .init("apus backup /backups", "A file of today's in /backups"),
                .init("apus backup now.backup --force", "This file, whatever it held"),
                .init("apus backup -", "To standard output, to compress or send it on its way"),
            ]
        )
    ) { context in
        let target = try BackupTarget(
            context.arguments["TARGET"] ?? "", isForced: context.arguments.has("--force"), context.terminal)
        let client = try context.client()
        var decoder = BackupDecoder()
        var progress = BackupProgress(context.terminal)
        do {
            try client.stream(APIRequest(.get, "/v1/backup")) { chunk in
                decoder.append(chunk)
                while let part = try decoder.next() { if case .failure(let error) = part { throw error } }
                try target.write(chunk)
                progress.show(decoder.counts)
                return true
            }
            try decoder.finish()
            try target.finish()
        } catch {
            progress.end()
            target.abandon()
            throw error
        }
        progress.end()
        let counts = decoder.counts
        guard !target.isStandardOutput else { return }
        try context.show(counts.json(file: target.path)) { "\(target.path): \(counts.text)\n" }
    }

    static let restore = Command(
        CommandDescription(
            name: "restore", summary: "fill an empty data directory, or an empty Kafka, from a backup",
            details: """
                No server runs meanwhile. The backup is checked while it is read, and what was there stays as it was when anything is
                wrong with it. The restored log has an identity of its own; dead letters keep their ids.

                With --kafka a single machine's backup goes into an empty cluster, with the settings of log.kafka in apus.yaml
                (--config). Records get Kafka's offsets; positions, retries and what is deployed are rewritten to them. What is
                deployed is sealed with --key-file, which the servers of the cluster get as well.
                """,
            positionals: [
                PositionalDescription(name: "FILE", summary: "the backup, or - for standard input", values: .files)
            ],
            options: [
                .value("--data", "FOLDER", "the data directory to fill (APUS_DATA; /var/lib/apus)", values: .files),
                .value("--kafka", "HOST:PORT", "fill an empty Kafka instead (FILE must be a file)"),
                .value("--key-file", "FILE", "with --kafka: the master keys of the servers to come", values: .files),
                .flag("--verify", "only check the backup"),
            ],
            examples: [
                .init("apus restore now.backup --verify", "Is this backup whole?"),
                .init("sudo apus restore now.backup --data /var/lib/apus", "Before the first start on a new machine"),
                .init(
                    "sudo apus restore now.backup --kafka broker-1:9092 --key-file /etc/apus/apus.key",
                    "Before the first start on a cluster"),
            ]
        )
    ) { context in
        let file = context.arguments["FILE"] ?? ""
        let source = try BackupSource(file, context.terminal)
        if let bootstrap = context.arguments["--kafka"], !context.arguments.has("--verify") {
            return try restoreIntoKafka(source, file, bootstrap, context)
        }
        let counts: BackupCounts
        var folder: String?
        if context.arguments.has("--verify") {
            counts = try RestoreRun.verify(source, BackupProgress(context.terminal))
        } else {
            let data = context.arguments["--data"] ?? context.environment["APUS_DATA"] ?? "/var/lib/apus"
            counts = try RestoreRun.restore(source, into: data, BackupProgress(context.terminal))
            folder = data
        }
        try context.show(counts.json(file: folder ?? source.path)) {
            folder.map { "restored into \($0): \(counts.text); start the server with --data \($0)\n" }
                ?? "\(source.path) is whole: \(counts.text)\n"
        }
    }
}

private func restoreIntoKafka(
    _ source: BackupSource, _ file: String, _ bootstrap: String, _ context: CommandContext
) throws {
    guard file != "-" else {
        throw UsageError("--kafka reads the backup twice: give a file, not standard input")
    }
    let options = try ServeOptions(context.arguments, context.environment)
    guard let kafka = options.kafkaLog else {
        throw UsageError("--kafka needs the address of a broker")
    }
    let given = try MasterKeyFile.given(
        options.masterKeyFile, credentials: options.credentials, dataDirectory: options.server.dataDirectory)
    guard let keys = given else {
        throw UsageError(
            "--kafka needs --key-file: the key of the servers that will stand on the cluster seals what is deployed there"
        )
    }
    let (counts, renamed) = try RestoreRun.restore(
        source, again: try BackupSource(file, context.terminal), into: kafka, RecordSeal(keys),
        BackupProgress(context.terminal))
    try context.show(counts.json(file: bootstrap)) {
        let ids = renamed == 0 ? "" : "; \(renamed) accepted invocations have other ids now"
        return
            "restored into \(bootstrap): \(counts.text)\(ids); start servers with --kafka \(bootstrap) and the same --key-file\n"
    }
}

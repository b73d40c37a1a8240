internal import ApusCore
internal import ApusLog
internal import ApusManifest
internal import ApusServer
internal import ApusStore
internal import ApusTelemetry

/// Every field of `apus.yaml`, in the order of the file. A new field is one entry here: the file, `APUS_…`, `apus serve`'s options,
/// `--print-config`, the schema and the documentation's example are made from this table.
enum ConfigurationTable {
    static let fields: [ConfigurationField] =
        serving + secrets + tls + auth + egress + pool + log + kafka + telemetry + retention + others

    static let format = SettingsFormat(fields.map(\.setting))

    /// What stands above a group of fields.
    static let groups: [String: String] = [
        "tls":
            "TLS for callers on other machines. Without it only loopback is allowed, or a proxy in front (behindProxy).",
        "auth": "Tokens that other servers issue (OAuth 2.1), beside those of `apus token` and `apus agent`.",
        "egress": "Where functions with `network: {allow: […]}` may connect to, beyond what their manifests say.",
        "pool": "Devices, the memory of what sleeps, and what things cost: see docs/operating/devices.md and cost.md.",
        "pool.devices": "Where devices come from.",
        "log": "What the server says about itself.",
        "log.kafka":
            "Events, positions and what is deployed lie on Apache Kafka, not in the data directory. Off without an address.",
        "telemetry.otlp": "Traces, sent by OTLP over HTTP. Off without an endpoint.",
        "retention": "How long what grows is kept. Topics that are deployed say so themselves.",
        "limits": "Bounds of this server.",
        "console": "The web page at /.",
    ]

    static let largestSpan = TimeSpan.seconds(36_500 * 86_400)
    private static let kept: ClosedRange<TimeSpan> = .seconds(60)...Self.largestSpan

    private static let serving: [ConfigurationField] = [
        ConfigurationField(
            "data", .text,
            "The data directory: events, what is deployed, keys. Belongs to the server's user, mode 0700; one server at a time.",
            default: "/var/lib/apus", option: .value("--data", "FOLDER", "the data directory", values: .files)
        ) { options, value throws(SettingRefusal) in
            options.server.dataDirectory = try ConfigurationPath.absolute(value)
        },
        ConfigurationField(
            "listen", .text, "Where to listen: an address in numbers and a port. Port 0 takes a free one.",
            default: "127.0.0.1:8787", option: .value("--listen", "ADDRESS:PORT", "where to listen")
        ) { options, value throws(SettingRefusal) in
            (options.server.address, options.server.port) = try ListenAddress.parse(value.text)
        },
        ConfigurationField(
            "rootless", .boolean,
            "Serve as an ordinary user, with sandboxes in a user namespace and less isolation: see docs/operating/rootless.md. "
                + "The data directory then is ~/.local/state/apus unless said otherwise.",
            default: "false",
            option: .flag("--rootless", "serve as an ordinary user, with less isolation (docs/operating/rootless.md)")
        ) { $0.isRootless = $1.isOn },
        ConfigurationField(
            "shards", .integer(1...Int64(Limits.shards)),
            "Event loops, each with its own engine. One suits two cores; more pay from about four.", default: "1",
            option: .value("--shards", "N", "event loops, each with an engine of its own")
        ) { $0.server.shards = Int($1.integer) },
        ConfigurationField(
            "durability", .choice(["fsync", "process"]),
            "What an acknowledged event survives. fsync: power loss; process: the death of the server, not of the machine.",
            default: "fsync",
            option: .value(
                "--durability", "WHEN", "fsync: acknowledged events survive power loss; process: kill -9",
                values: .oneOf(["fsync", "process"]))
        ) { $0.log.durability = $1.text == "process" ? .process : .fsync },
        ConfigurationField(
            "mapSize", .bytes((1 << 20)...(1 << 46)),
            "Bytes that the log may grow to. May be raised at any start, never under what is used.", default: "64Gi",
            option: .value("--map-size", "SIZE", "the most that the log may grow to, as 64Gi")
        ) { $0.log.mapBytes = Int($1.integer) },
        ConfigurationField(
            "diskFloor", .bytes(0...(1 << 46)), "Bytes of the file system that the log leaves free for others.",
            default: "256Mi", option: .value("--disk-floor", "SIZE", "how much of the disk the log leaves free")
        ) { $0.log.diskFloorBytes = $1.integer },
        ConfigurationField(
            "drain", .span(.zero ... .seconds(600)),
            "Time that running work may take to finish when the server stops; an upgrade gives at most 5 s of it.",
            default: "5s", option: .value("--drain", "TIME", "how long running work may go on after SIGTERM, as 5s")
        ) { $0.server.drainSeconds = ($1.span.milliseconds + 999) / 1_000 },
        ConfigurationField(
            "allowHosts", .texts(max: 64), "Names beside loopback ones under which clients may call, without port.",
            default: "[]",
            option: .value("--allow-host", "HOST", "another name under which clients may call", repeats: true)
        ) { $0.server.allowedHosts = $1.texts },
        ConfigurationField(
            "behindProxy", .boolean,
            "A proxy in front ends TLS and is the only way in: allows an address that is not loopback.",
            default: "false",
            option: .flag("--behind-proxy", "allow an address that is not loopback: a proxy in front ends TLS")
        ) { $0.server.isBehindProxy = $1.isOn },
    ]

    private static let secrets: [ConfigurationField] = [
        ConfigurationField(
            "keyFile", .text,
            "File of the master keys that seal secrets, 64 hexadecimal digits a line, the newest last; read as root at the start. "
                + "Without it the systemd credential apus.key; without that one in the data directory, for development.",
            default: nil,
            option: .value("--key-file", "FILE", "the master keys that seal secrets, the newest last", values: .files)
        ) { options, value throws(SettingRefusal) in options.masterKeyFile = try ConfigurationPath.absolute(value) }
    ]

    private static let tls: [ConfigurationField] = [
        ConfigurationField(
            "tls.cert", .text,
            "File of the certificate with its chain, in PEM; read as root at the start: upgrade or restart to renew it.",
            default: nil, option: .value("--tls-cert", "FILE", "the certificate with its chain, in PEM", values: .files)
        ) { options, value throws(SettingRefusal) in options.certificateFile = try ConfigurationPath.absolute(value) },
        ConfigurationField(
            "tls.key", .text, "File of its private key, in PEM. Root alone should be able to read it.", default: nil,
            option: .value("--tls-key", "FILE", "its private key, in PEM", values: .files)
        ) { options, value throws(SettingRefusal) in options.keyFile = try ConfigurationPath.absolute(value) },
    ]

    private static let log: [ConfigurationField] = [
        ConfigurationField(
            "log.format", .choice(["text", "json"]), "text for people, json for programs.", default: "text",
            option: .value("--log-format", "FORMAT", "text or json", values: .oneOf(["text", "json"]))
        ) { $0.journal.format = LogFormat(rawValue: $1.text) ?? .text },
        ConfigurationField(
            "log.level", .choice(LogLevel.allCases.map(\.name)), "Lines that matter less are left out.",
            default: "info",
            option: .value(
                "--log-level", "LEVEL", "leave out lines that matter less",
                values: .oneOf(LogLevel.allCases.map(\.name)))
        ) { $0.journal.level = LogLevel($1.text) ?? .info },
        ConfigurationField(
            "log.file", .text, "The file they go to; without it standard error, which systemd keeps in its journal.",
            default: nil,
            option: .value("--log-file", "FILE", "write them there, not to standard error", values: .files)
        ) { options, value throws(SettingRefusal) in options.journal.file = try ConfigurationPath.absolute(value) },
        ConfigurationField(
            "log.maxSize", .bytes((64 << 10)...(1 << 40)), "Bytes after which a new file is begun.", default: "64Mi"
        ) { $0.journal.maxBytes = Int($1.integer) },
        ConfigurationField(
            "log.keep", .integer(0...100),
            "Old files kept: FILE.1 is the newest. 0 leaves the file alone: rotate it yourself and send SIGHUP.",
            default: "5"
        ) { $0.journal.keep = Int($1.integer) },
    ]

    private static let kafka: [ConfigurationField] = [
        ConfigurationField(
            "log.kafka.bootstrap", .text, "Brokers to begin with, host:port, several with commas between them.",
            default: nil, option: .value("--kafka", "HOST:PORT", "keep events, positions and deployments on this Kafka")
        ) { options, value throws(SettingRefusal) in
            guard !value.text.isEmpty else { throw SettingRefusal("host:port of a broker") }
            options.kafka.bootstrap = value.text
        },
        ConfigurationField(
            "log.kafka.properties", .pairs(max: 128),
            "Properties of librdkafka, TLS and SASL settings among them; those that nothing may be lost by are refused.",
            default: "{}"
        ) { $0.kafka.properties = $1.pairs },
        ConfigurationField(
            "log.kafka.cluster", .text,
            "The name of this Apus among several on one Kafka: servers of the same name share its work.",
            default: "apus"
        ) { options, value throws(SettingRefusal) in
            guard isLabel(value.text) else { throw SettingRefusal("letters a-z, digits and hyphens") }
            options.kafka.cluster = value.text
        },
        ConfigurationField(
            "log.kafka.topicPrefix", .text,
            "In front of the name of every topic on Kafka, so that several Apus do not see each other's.", default: nil
        ) { options, value throws(SettingRefusal) in
            guard value.text.isEmpty || TopicName.isWellFormed(value.text) else {
                throw SettingRefusal("letters, digits, dots, hyphens and underscores")
            }
            options.kafka.topicPrefix = value.text
        },
        ConfigurationField(
            "log.kafka.replication", .integer(1...16),
            "Copies of each topic that Apus makes; without it what the cluster gives.", default: nil
        ) { $0.kafka.replication = Int($1.integer) },
        ConfigurationField(
            "log.kafka.node", .text,
            "What this server is called among those that share its work. Without it the data directory keeps a name that was made up.",
            default: nil
        ) { options, value throws(SettingRefusal) in
            guard NodeName.isWellFormed(value.text) else {
                throw SettingRefusal("at most \(NodeName.maxBytes) letters, digits, dots, hyphens and underscores")
            }
            options.kafka.node = value.text
        },
        ConfigurationField(
            "log.kafka.classes", .texts(max: 16), "What this server can do of the work that is shared; without it cpu.",
            default: nil
        ) { options, value throws(SettingRefusal) in
            let classes = value.texts.compactMap { WorkClass($0) }
            guard classes.count == value.texts.count, Set(classes).count == classes.count, !classes.isEmpty,
                !value.texts.contains("control")
            else {
                throw SettingRefusal("different names of letters a-z, digits and hyphens; `control` is taken")
            }
            options.kafka.classes = classes
        },
        ConfigurationField(
            "log.kafka.adopt", .boolean,
            "Takes what is deployed by a version that did not seal its records, and seals it. For one start: who may write to apus.control could have written it.",
            default: "false"
        ) { $0.kafka.adopts = $1.isOn },
        ConfigurationField(
            "log.kafka.session", .span(.seconds(1)...(.seconds(1_800))),
            "How long a server that is not heard of keeps its part of the work; brokers allow 6 s to 30 min unless told otherwise.",
            default: "20s"
        ) { $0.kafka.sessionMilliseconds = Int($1.span.milliseconds) },
    ]

    private static let telemetry: [ConfigurationField] = [
        ConfigurationField(
            "telemetry.otlp.endpoint", .text,
            "Base URL of the receiver, as http://127.0.0.1:4318; /v1/traces is added.", default: nil
        ) { options, value throws(SettingRefusal) in
            guard value.text.hasPrefix("http://") || value.text.hasPrefix("https://") else {
                throw SettingRefusal("a URL that starts with http:// or https://")
            }
            options.server.telemetry.endpoint = value.text
        },
        ConfigurationField(
            "telemetry.otlp.headers", .pairs(max: 32), "Headers sent with every export, as the receiver's token.",
            default: "{}"
        ) { $0.server.telemetry.headers = $1.pairs },
        ConfigurationField(
            "telemetry.otlp.sample", .fraction,
            "Part of the traces begun here that is sent, 0 to 1. A caller's own decision holds.", default: "1"
        ) { $0.server.telemetry.sample = $1.fraction },
    ]

    private static let retention: [ConfigurationField] = [
        ConfigurationField(
            "retention.invocations", .span(kept), "Age after which states of ended invocations go.", default: "7d"
        ) { $0.server.retention.invocations = $1.span },
        ConfigurationField(
            "retention.logs.time", .span(kept), "Age after which lines that functions printed go.", default: "7d"
        ) { $0.server.retention.logsTime = $1.span },
        ConfigurationField(
            "retention.logs.size", .bytes((1 << 20)...(1 << 46)), "Bytes of such lines that are kept.", default: "1Gi"
        ) { $0.server.retention.logsBytes = $1.integer },
        ConfigurationField(
            "retention.dead", .span(kept), "Age after which dead letters without a topic of their own go.",
            default: "30d"
        ) { $0.server.retention.dead = $1.span },
        ConfigurationField(
            "retention.revisions", .integer(1...Int64(Limits.Control.revisionsPerFunctionMax)),
            "Revisions of each function that are kept to return to, the deployed one included.", default: "10"
        ) { $0.server.retention.revisions = Int($1.integer) },
        ConfigurationField(
            "retention.bundlesUnused", .span(kept), "Age after which code that no kept revision names goes.",
            default: "1d"
        ) { $0.server.retention.bundlesUnused = $1.span },
        ConfigurationField(
            "retention.layersUnused", .span(kept),
            "Age after which installed dependencies that no kept revision names go.", default: "7d"
        ) { $0.server.retention.layersUnused = $1.span },
        ConfigurationField(
            "retention.weightsUnused", .span(kept),
            "Age after which weights that no deployed revision names go.", default: "7d"
        ) { $0.server.retention.weightsUnused = $1.span },
        ConfigurationField(
            "retention.weightsBytes", .bytes((1 << 20)...(1 << 50)),
            "Bytes of the disk that weights may take: unused ones go early for others, and what has no room is not fetched.",
            default: "100Gi"
        ) { $0.server.retention.weightsBytes = $1.integer },
        ConfigurationField(
            "retention.usage", .span(kept), "Age after which what was used and what it cost goes.", default: "90d"
        ) { $0.server.retention.usage = $1.span },
        ConfigurationField("retention.audit", .span(kept), "Age after which audit records go.", default: "365d") {
            $0.server.retention.audit = $1.span
        },
    ]

    private static let others: [ConfigurationField] = [
        ConfigurationField(
            "limits.connections", .integer(16...100_000),
            "Open connections of one shard; more wait in the kernel's queue.", default: "10000"
        ) { $0.server.connections = Int($1.integer) },
        ConfigurationField(
            "limits.sandboxes", .integer(1...1_024), "Sandboxes, of all functions together, that may exist at once.",
            default: "256"
        ) { $0.sandboxes = Int($1.integer) },
        ConfigurationField(
            "limits.invocationsPerFunction", .integer(1...1_000_000),
            "Asynchronous invocations of one function that may wait or run; above it callers get `queue_full`.",
            default: "10000"
        ) { $0.server.invocationsPerFunction = Int($1.integer) },
        ConfigurationField("console.enabled", .boolean, "Whether it is served.", default: "true") {
            $0.server.isConsoleEnabled = $1.isOn
        },
    ]
}

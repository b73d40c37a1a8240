internal import ApusCore
internal import ApusJSON

extension Shape {
    /// `spec` of a function.
    static let function = ObjectShape(
        [
            Field("description", .text(.description), "What it does, for people and for agents."),
            Field(
                "runtime",
                .choice([
                    Choice("python3"), Choice("native"), Choice("node"), Choice("exec"),
                    Choice("mcp"), Choice("http"),
                ]), "What runs it.", required: true),
            Field("handler", .text(.handler), "`module:function`; for exec, native and mcp the command; for mcp also the URL of a server.", required: true),
            Field("source", .text(.path), "The folder beside the manifest that is bundled.", standard: "."),
            Field(
                "dependencies", .scalarOr(.text(.path), .object(Self.dependencies)),
                "A requirements file in the bundle, or how to install it."),
            Field(
                "env", .map(key: .variable, value: .scalarText(.any), max: Limits.Manifest.environmentVariables),
                "Environment variables; numbers and Booleans are passed as they are written.", standard: [:]),
            Field(
                "secrets", .list(.text(.secret), max: Limits.Manifest.secrets),
                "Names of secrets that it may read, set with `apus secret set` before.", standard: []),
            Field(
                "weights", .list(.object(Self.weights), max: Limits.Manifest.weights),
                "Model files, mounted read-only as `/weights/NAME`.", standard: []),
            Field("timeout", .span(.milliseconds(1)...Self.days(1)), "How long one attempt may take.", standard: "30s"),
            Field(
                "concurrency", .integer(1...Int64(Limits.Manifest.concurrency)), "Invocations in flight per worker.",
                standard: 1),
            Field(
                "reuse", .choice([Choice("function"), Choice("principal"), Choice("never")]),
                "Whether a worker serves many invocations, those of one principal, or every one gets a fresh sandbox; default: `function`, for a tool `never`, for a command with the runtime mcp `principal`."
            ),
            Field("batch", .object(Self.batch), "Give the handler a list of events."),
            Field("resources", .object(Self.resources), "Bounds of one worker.", standard: [:]),
            Field("scale", .object(Self.scale), "How many workers there may be.", standard: [:]),
            Field("sandbox", .object(Self.sandbox), "How it is isolated.", standard: [:]),
            Field(
                "triggers", .list(.object(Self.trigger), max: Limits.Manifest.triggers), "Why it runs.", standard: []),
            Field("tool", .object(Self.tool), "How agents call it."),
            Field("prompt", .object(Self.prompt), "A prompt that agents may ask for."),
            Field("resource", .object(Self.resource), "A resource that agents may read."),
            Field(
                "emits", .list(.text(.topic), max: Limits.Manifest.emits),
                "Topics that `context.emit` may write; default: only the reply topics of its triggers."),
            Field(
                "build", .text(.handler),
                "A command that makes the binary: run by `apus deploy`, in the manifest's folder, before it bundles the source."
            ),
        ], atMostOneOf: [["tool", "prompt", "resource"]])

    private static let dependencies = ObjectShape([
        Field("file", .text(.path), "The requirements file, in the bundle.", required: true),
        Field(
            "resolve", .boolean, "Also install what the listed packages need; false installs exactly what is listed.",
            standard: true),
        Field("allowBuild", .boolean, "Allow packages that must be compiled or run code to install.", standard: false),
    ])

    private static let weights = ObjectShape(
        [
            Field("name", .text(.label), "Its name.", required: true),
            Field("file", .text(.path), "The file, in the bundle."),
            Field("url", .text(.url), "Where to fetch it: once, at the first start or by `apus warm`."),
            Field("sha256", .text(.sha256), "The hash of its content.", required: true),
            Field("size", .bytes(1...(1 << 50)), "Its size, at least so nearly that it is no larger."),
        ], exactlyOneOf: [["file", "url"]])

    private static let batch = ObjectShape([
        Field(
            "maxSize", .integer(1...Int64(Limits.Manifest.batchSize)), "Events of one batch at most.", required: true),
        Field(
            "maxBytes", .bytes(1_024...Limits.Manifest.batchBytes),
            "Bytes of the events of one batch at most; one that is larger goes alone.", standard: "200Ki"),
        Field(
            "maxWait", .span(.zero ... .seconds(60)), "How long the first event of a batch may wait for others.",
            standard: "5ms"),
    ])

    private static let resources = ObjectShape([
        Field(
            "memory", .bytes((16 << 20)...(1 << 42)), "Memory of a worker, with its scratch space's pages.",
            standard: "512Mi"),
        Field("cpu", .cpu(10...256_000), "CPUs of a worker.", standard: 1),
        Field("processes", .integer(1...4_096), "Processes and threads of a worker.", standard: 32),
        Field("scratch", .bytes((1 << 20)...(1 << 40)), "Size of `/tmp`.", standard: "64Mi"),
        Field(
            "class", .text(.label),
            "Which servers run it, where several share the work: those that have this name among their classes. Without it `gpu` when it asks for a device, else `cpu`."
        ),
        Field(
            "hostMemory", .bytes((1 << 20)...(1 << 44)),
            "What one sleeping instance takes of the host's memory; as much as on its devices unless given."),
        Field("gpu", .object(Self.gpu), "What it needs of an accelerator."),
    ])

    private static let gpu = ObjectShape([
        Field("memory", .bytes((1 << 20)...(1 << 42)), "Memory on the device.", required: true),
        Field("residue", .bytes(0...(1 << 42)), "What it leaves there while it sleeps.", standard: 0),
        Field("count", .integer(1...64), "Devices that each instance takes.", standard: 1),
        Field("kind", .text(.any), "Which devices, as `h200`.", standard: "any"),
    ])

    private static let scale = ObjectShape([
        Field("min", .integer(0...Int64(Limits.Manifest.workers)), "Workers that are kept.", standard: 0),
        Field("max", .integer(1...Int64(Limits.Manifest.workers)), "Workers at most.", standard: 8),
        Field("idle", .span(.zero...Self.days(1)), "How long a worker may have nothing to do.", standard: "60s"),
        Field(
            "gpuIdle", .wordOr([Choice("adaptive")], .span(.zero...Self.days(30))),
            "How long an idle instance stays on its device.", standard: "adaptive"),
        Field(
            "hostIdle", .wordOr([Choice("adaptive")], .span(.zero...Self.days(30))),
            "How long after its last use it stays in the host's memory.", standard: "4h"),
        Field("weight", .integer(1...1_000), "Its part where devices or places for workers are short.", standard: 1),
    ])

    private static let sandbox = ObjectShape([
        Field(
            "profile", .choice([Choice("python"), Choice("exec"), Choice("native"), Choice("node")]),
            "The reviewed profile of system calls; default: the runtime's own."),
        Field(
            "isolation", .choice([Choice("standard"), Choice("hostile")]),
            "How far its code is trusted; hostile code has fewer calls, and does not run where a layer of isolation is missing.",
            standard: "standard"),
        Field(
            "calls", .choice([Choice("sandbox"), Choice("process")]),
            "What each invocation has to itself with `reuse: never`; a process shares its sandbox with other invocations of the function, and has its dependencies loaded at once.",
            standard: "sandbox"),
        Field(
            "network", .scalarOr(.choice([Choice("none")]), .object(Self.network)), "What it may connect to.",
            standard: "none"),
    ])

    private static let network = ObjectShape([
        Field(
            "allow", .list(.text(.hostAndPort), max: Limits.Network.rules),
            "Hosts with their ports, as `api.example.com:443`; `*.example.com:443` allows every name below.",
            required: true),
        Field(
            "inject", .list(.object(Self.injection), max: Limits.Network.injections),
            "Secrets that requests get as a header on their way out; the function never has them.", standard: []),
    ])

    private static let injection = ObjectShape([
        Field("to", .text(.hostAndPort), "The host and the port, one that `allow` covers.", required: true),
        Field("header", .text(.any), "The header.", standard: "Authorization"),
        Field("secret", .text(.secret), "The name of the secret, set with `apus secret set` before.", required: true),
        Field("prefix", .text(.any), "What stands before the secret in the header, as `Bearer `.", standard: ""),
        Field(
            "paths", .list(.text(.urlPath), max: Limits.Network.prefixes),
            "Prefixes of paths, whole segments each; none for all paths.", standard: []),
        Field(
            "methods", .list(.text(.any), max: Limits.Network.prefixes), "Methods, as POST; none for all.", standard: []
        ),
    ])
}

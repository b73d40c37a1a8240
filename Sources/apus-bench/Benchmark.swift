/// One benchmark as the command line knows it.
struct Benchmark: Sendable {
    typealias Option = (name: String, meaning: String)

    let name: String
    let summary: String
    /// What it understands beside ``common``. Each takes a value.
    let options: [Option]
    let run: @Sendable (BenchOptions) throws -> BenchReport

    static let common: [Option] = [
        ("json", "figures for programs; takes no value"),
        ("rounds N", "how often floor and figure are measured, in turn (5)"),
        ("directory PATH", "where files are made: a real disk (/var/tmp)"),
    ]

    init(
        _ name: String, _ summary: String, _ options: [Option] = [],
        run: @escaping @Sendable (BenchOptions) throws -> BenchReport
    ) {
        self.name = name
        self.summary = summary
        self.options = options
        self.run = run
    }

    var help: String {
        let width = 28
        let lines = (self.options + Self.common).map { option in
            "  --\(option.name)" + String(repeating: " ", count: max(1, width - option.name.count)) + option.meaning
        }
        return "usage: apus-bench \(self.name) [OPTION VALUE]...\n\n\(self.summary)\n\n" + lines.joined(separator: "\n")
    }

    /// - Throws: naming an option that is none of this benchmark.
    func check(_ options: BenchOptions) throws {
        let known = Set(self.options.map { String($0.name.prefix { $0 != " " }) })
        guard let unknown = options.others.keys.sorted().first(where: { !known.contains($0) }) else { return }
        throw BenchFailure("--\(unknown) is no option of '\(self.name)': see apus-bench \(self.name) --help")
    }

    private static let records: Option = ("records N", "of each round")
    private static let bytes: Option = ("bytes N", "of data in a record (1024)")
    private static let kafka: Option = ("kafka HOST:PORT", "on Kafka, beside librdkafka alone")
    private static let durability: Option = ("durability fsync|process", "of the embedded log (fsync)")
    private static let kinds: Option = ("only native|python", "this kind of worker")
    private static let unconfined: Option = ("sandbox none", "workers without a sandbox")

    static let all: [Benchmark] = [
        Benchmark(
            "log", "Appends, reads and ledger writes through the log, beside raw LMDB or librdkafka.",
            [Self.records, Self.bytes, ("window N", "batches in flight (8)"), Self.durability, Self.kafka]
        ) { try LogBench.run($0) },
        Benchmark(
            "end-to-end", "A topic, the engine, a sandboxed function, the reply topic, beside the same flow in C. Needs root.",
            [
                Self.records, Self.bytes, ("concurrency N", "events in flight (256)"),
                ("batch N", "events handed to a function at once"), ("unsettled N", "records of a partition under way"),
                ("starts N", "events sent one at a time (500)"), Self.durability, Self.kafka,
                ("properties NAME=VALUE,...", "of librdkafka"), Self.kinds, Self.unconfined,
            ]
        ) { try EndToEndBench.run($0) },
        Benchmark(
            "dispatch", "From the engine's dispatch to the ledger, beside the same messages between two C processes. Needs root.",
            [
                ("trips N", "one at a time (20000)"), ("count N", "many in flight (200000)"),
                ("yields N", "turns given away"), Self.kinds, Self.unconfined,
            ]
        ) { try DispatchBench.run($0) },
        Benchmark(
            "sandbox", "How long a sandbox takes, beside a fork without any isolation. Needs root.",
            [
                ("launches N", "of each kind (40)"), ("creations N", "fresh sandboxes in a row (400)"),
                ("numpy FOLDER", "of packages that hold numpy, as pip install --target makes one"),
            ]
        ) { try SandboxBench.run($0) },
        Benchmark(
            "http", "Calls and published batches over HTTP, beside a bare route of the same listener. Needs root and an installed tree.",
            [
                ("count N", "calls with many connections (60000)"), ("trips N", "calls one at a time (4000)"),
                ("batches N", "published (3000)"), ("concurrency N", "connections (64)"), ("workers N", "of a function (1)"),
                ("only NAME", "the figures of one kind of request"),
            ]
        ) { try HTTPBench.run($0) },
        Benchmark("filter", "What a filter costs per event, beside a walk of its attributes.") { try FilterBench.run($0) },
        Benchmark(
            "tools", "Calls of tools and pages of their list over MCP, beside a bare route. Needs root and an installed tree.",
            [
                ("count N", "calls with 50 connections (40000)"), ("trips N", "calls one at a time (2000)"),
                ("tools N", "deployed (5000)"),
            ]
        ) { try ToolsBench.run($0) },
        Benchmark(
            "idle", "What many functions cost while nothing happens, beside an empty server. Needs root and an installed tree.",
            [("functions N", "deployed (1000)"), ("seconds N", "of idling (10)")]
        ) { try IdleBench.run($0) },
        Benchmark("dev", "From a saved file under `apus dev` to the first call, beside a deploy by hand. Needs root.") {
            try DevBench.run($0)
        },
        Benchmark(
            "simulate", "The seeded simulator with many more seeds than the tests have time for.",
            [
                ("seeds N", "to run (10000)"), ("first N", "of them (1)"), ("seed N", "one run, with all that happens"),
                ("of engine|nodes", "one of the two simulators"),
            ]
        ) { try SimulateBench.run($0) },
        Benchmark(
            "pool", "What the pool's decisions cost, what its policies come to, and how far simulated starts are from real ones.",
            [
                ("only honesty|decisions", "some of it"), ("seeds N", "of the policies' traces (6)"),
                ("seconds N", "of the compared trace (300)"), ("calibration N", "seconds of the run before it (90)"),
                ("function PATH", "what is started (functions/generate)"), ("pairs FILE", "gets a line for each request"),
            ]
        ) { try PoolBench.run($0) },
    ]
}

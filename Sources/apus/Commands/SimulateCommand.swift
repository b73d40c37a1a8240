internal import ApusCore
internal import ApusEngine
internal import ApusFleet
internal import ApusJSON

extension Command {
    static let simulate = Command(
        CommandDescription(
            name: "simulate", summary: "replay a trace through the pool under a virtual clock, and compare policies",
            details: """
                The engine that serves live decides; devices, processes and time are simulated, and every figure says so. The first
                half of the trace is for learning and for tuning, the second half is what is reported. FixedTTL 10m, what most
                platforms do, and Oracle, which knows the future, always stand beside the policies asked for.

                A trace in CSV has a header line: `at,function,seconds` (seconds since the start, a name, the length of the run), or
                that of the Azure LLM inference traces, `TIMESTAMP,ContextTokens,GeneratedTokens`.

                `--replay` takes what a server wrote down (`pool.record` in apus.yaml) and decides all of it again, at the times that it
                happened: the decisions must be the same.
                """,
            options: SimulateOptions.described,
            examples: [
                .init("apus simulate --generate fitted --days 14", "40 models with published gaps, on 8 devices"),
                .init(
                    "apus simulate --trace week.csv --devices 4 --policy rent-or-buy",
                    "What your own week would have cost"),
                .init(
                    "apus simulate --generate above --policy fixed-5m --plot out.svg",
                    "Gaps just above the TTL, as a picture"),
                .init(
                    "apus simulate --prices device=3,host=0.002 --output json",
                    "With the prices that you pay by the hour"),
                .init("apus simulate --replay pool.record", "Decides again what a server decided"),
            ]
        )
    ) { context in
        if let path = context.arguments["--replay"] { return try ReplayReport.run(path, context) }
        let options = try SimulateOptions(context.arguments)
        let trace = try options.trace(context)
        var comparison = PolicyComparison(fleet: options.fleet, arrivals: trace.arrivals, functions: trace.functions)
        comparison.prices = options.prices
        comparison.progress = { policy, share, events in
            context.note("simulated: \(policy): \(Int(share * 100)) % of the trace, \(events / 1_000_000) M events")
        }
        let waiting = options.isTuned ? try comparison.tune() : KeepAlivePrices().waitingSecond
        let rows = try comparison.runAll(options.policies, waitingSecond: waiting)
        if let path = options.plot { try OutputFile.write(ComparisonPlot.svg(rows), to: path) }
        let report = SimulateReport(comparison, rows, waitingSecond: waiting)
        try context.show(report.json) { report.text(width: context.terminal.width) }
    }
}

/// What `apus simulate` was asked for.
struct SimulateOptions {
    static let described: [OptionDescription] = [
        .value("--trace", "FILE", "a trace in CSV", values: .files),
        .value(
            "--generate", "PATTERN", "a generated one instead: \(TracePattern.names.joined(separator: ", ")) (fitted)",
            values: .oneOf(TracePattern.names)),
        .value("--models", "N", "functions of a generated trace (40)"),
        .value("--days", "N", "its length (14)"),
        .value("--rate", "N", "its requests in a thousand seconds (13.5)"),
        .value("--seed", "N", "another trace of the same kind (1)"),
        .value("--devices", "N", "devices of the fleet (8)"),
        .value("--device-memory", "SIZE", "memory of each (80Gi)"),
        .value(
            "--model-memory", "SIZE", "what each function holds on a device and, asleep, in the host's memory (16Gi)"),
        .value("--host-memory", "SIZE", "the host's memory for sleeping functions (1Ti)"),
        .value("--cold", "SPAN", "how long a start from disk takes (47s)"),
        .value("--wake", "SPAN", "how long a wake takes (3s)"),
        .value("--policy", "POLICY", "rent-or-buy, histogram, greedy-dual, fixed-5m (all)", repeats: true),
        .value("--prices", "PRICES", "device=2.5,host=0.001 by the hour and GiB; waiting=0.01 by the second"),
        .value("--plot", "FILE", "draw the comparison as SVG", values: .files),
        .value("--replay", "FILE", "decide a server's recorded run again instead", values: .files),
    ]

    let arguments: ParsedArguments
    var fleet = FleetSimulation.Fleet()
    var policies: [PolicyChoice] = []
    var prices = FleetPrices()
    var plot: String? { self.arguments["--plot"] }
    /// RentOrBuy is among them.
    var isTuned: Bool { self.policies.contains(.rentOrBuy) }

    init(_ arguments: ParsedArguments) throws {
        self.arguments = arguments
        if let devices = try arguments.integer("--devices", in: 1...Limits.Commands.simulatedDevices) {
            self.fleet.devices = devices
        }
        if let bytes = try Self.size(arguments, "--device-memory") { self.fleet.deviceBytes = bytes }
        if let bytes = try Self.size(arguments, "--host-memory") { self.fleet.hostMemory = bytes }
        if let bytes = try Self.size(arguments, "--model-memory") { self.fleet.modelBytes = bytes }
        guard self.fleet.modelBytes <= self.fleet.deviceBytes / 100 * Int64(100 - Limits.Pool.headroomPercent) else {
            throw UsageError("--model-memory is more than a device has: give --device-memory more")
        }
        // A small device's sleepers leave no more on it than they held.
        self.fleet.residueBytes = min(self.fleet.residueBytes, self.fleet.modelBytes / 10)
        if let cold = try Self.span(arguments, "--cold") { self.fleet.cold = cold }
        if let wake = try Self.span(arguments, "--wake") { self.fleet.wake = wake }
        self.policies = try arguments.all("--policy").map { text throws(UsageError) in
            guard let policy = PolicyChoice(text) else {
                throw UsageError(
                    "there is no policy '\(text)': rent-or-buy, histogram, greedy-dual, or fixed-5m are expected")
            }
            return policy
        }
        if self.policies.isEmpty { self.policies = PolicyChoice.all }
        if let text = arguments["--prices"] { self.prices = try Self.prices(text) }
        if arguments["--trace"] != nil {
            for name in ["--generate", "--models", "--days", "--rate", "--seed"] where arguments[name] != nil {
                throw UsageError("\(name) is of a generated trace, but --trace gives one")
            }
        }
    }

    /// The arrivals, and how many functions they are of.
    func trace(_ context: CommandContext) throws -> (arrivals: [Arrival], functions: Int) {
        if let path = self.arguments["--trace"] {
            let bytes = try DataArgument.readFile(path, limit: Limits.Commands.traceBytes)
            do throws(ApusError) {
                let file = try TraceFile(parsing: String(decoding: bytes, as: UTF8.self))
                return (file.arrivals, file.functions.count)
            } catch { throw ApusError(error.code, "\(path): \(error.message)") }
        }
        var generator = TraceGenerator()
        generator.pattern = self.arguments["--generate"].flatMap { TracePattern($0) } ?? .fitted
        if let models = try self.arguments.integer("--models", in: 1...Limits.Commands.simulatedFunctions) {
            generator.functions = models
        }
        if let days = try self.arguments.integer("--days", in: 1...Limits.Commands.simulatedDays) {
            generator.length = .seconds(Int64(days) * 86_400)
        }
        if let rate = self.arguments["--rate"] {
            guard let value = Double(rate), value > 0, value <= 1e6 else {
                throw UsageError(
                    "--rate is '\(rate)', but a number above 0 is expected, of requests in a thousand seconds")
            }
            generator.requestsPerSecond = value / 1_000
        }
        if let seed = try self.arguments.integer("--seed", in: 0...Int.max) { generator.seed = UInt64(seed) }
        guard generator.expected <= Double(Limits.Commands.simulatedRequests) else {
            throw UsageError(
                "that would be \(Int(generator.expected)) requests; at most \(Limits.Commands.simulatedRequests) are "
                    + "simulated: give fewer --days or a smaller --rate")
        }
        return (generator.arrivals(), generator.functions)
    }

    private static func size(_ arguments: ParsedArguments, _ name: String) throws(UsageError) -> Int64? {
        guard let text = arguments[name] else { return nil }
        let units: [(String, Int64)] = [("Mi", 1 << 20), ("Gi", 1 << 30), ("Ti", 1 << 40)]
        for (unit, bytes) in units where text.hasSuffix(unit) {
            if let count = Int64(text.dropLast(2)), (1...(1 << 50) / bytes).contains(count) { return count * bytes }
        }
        throw UsageError("\(name) is '\(text)', but a size like 512Mi, 16Gi or 1Ti is expected")
    }

    private static func span(_ arguments: ParsedArguments, _ name: String) throws(UsageError) -> TimeSpan? {
        guard let text = arguments[name] else { return nil }
        guard let span = PolicyChoice.span(text) else {
            throw UsageError("\(name) is '\(text)', but a span like 3s, 2m or 1h is expected")
        }
        return span
    }

    private static func prices(_ text: String) throws(UsageError) -> FleetPrices {
        var prices = FleetPrices()
        for part in text.split(separator: ",") {
            let pair = part.split(separator: "=", maxSplits: 1)
            guard pair.count == 2, let value = Double(pair[1]), value >= 0, value < 1e9 else {
                throw UsageError("--prices holds '\(part)', but a name and a price are expected, as device=2.5")
            }
            switch pair[0] {
            case "device": prices.device = value
            case "host": prices.host = value
            case "waiting": prices.waiting = value
            default: throw UsageError("there is no price of '\(pair[0])': device, host and waiting are expected")
            }
        }
        return prices
    }
}

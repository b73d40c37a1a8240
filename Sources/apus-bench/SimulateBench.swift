internal import ApusTestSupport

/// The seeded simulator with many more seeds than the tests have time for: one engine with all it can do, and several nodes on one
/// Kafka. Ends with the line that repeats the run that broke a promise.
enum SimulateBench {
    static func run(_ options: BenchOptions) throws -> BenchReport {
        let kinds = try options.others["of"].map { [try Self.kind($0)] } ?? Kind.allCases
        if options.others["seed"] != nil {
            let seed = UInt64(try options.number("seed", default: 1))
            for kind in kinds { _ = try kind.run(seed) { print($0) } }
            return BenchReport("simulate", [])
        }
        let first = UInt64(try options.number("first", default: 1))
        let seeds = UInt64(try options.number("seeds", default: 10_000))
        return BenchReport("simulate", try kinds.map { try Self.measure($0, first..<first + seeds) })
    }

    private static func measure(_ kind: Kind, _ seeds: Range<UInt64>) throws -> Figure {
        var figure = Figure("\(kind.rawValue).simulate_rate", unit: "1/s")
        let start = seconds()
        var steps = 0
        for seed in seeds { steps += try kind.run(seed, trace: nil) }
        figure.add(Double(steps) / (seconds() - start))
        return figure
    }

    private static func kind(_ name: String) throws -> Kind {
        guard let kind = Kind(rawValue: name) else { throw BenchFailure("--of is engine or nodes, not '\(name)'") }
        return kind
    }

    private enum Kind: String, CaseIterable {
        case engine, nodes

        /// - Returns: how many steps the run had.
        func run(_ seed: UInt64, trace: ((String) -> Void)?) throws -> Int {
            switch self {
            case .engine: try Simulator.run(seed: seed, trace: trace).steps
            case .nodes: try ClusterSimulator.run(seed: seed, trace: trace).steps
            }
        }
    }
}

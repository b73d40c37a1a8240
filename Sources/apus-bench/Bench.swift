internal import Glibc

/// Benchmarks, each beside the physical floor measured in the same run: `apus-bench --help`.
@main
struct Bench {
    static func main() {
        let arguments = Array(CommandLine.arguments.dropFirst())
        if arguments.first == "http-floor" { Bench.serveFloor(arguments) }
        if ["--help", "-h", "help"].contains(arguments.first) { return print(Bench.usage) }
        guard let name = arguments.first else { Bench.fail(Bench.usage, code: 2) }
        guard let benchmark = Benchmark.all.first(where: { $0.name == name }) else {
            Bench.fail("apus-bench: there is no benchmark '\(name)'\n\n\(Bench.usage)", code: 2)
        }
        if arguments.contains("--help") || arguments.contains("-h") { return print(benchmark.help) }
        do {
            let options = try BenchOptions(Array(arguments.dropFirst()))
            try benchmark.check(options)
            let report = try benchmark.run(options)
            print(options.isJSON ? report.json : report.table)
            let excess = report.figures.compactMap(\.excess)
            if !excess.isEmpty { Bench.fail("apus-bench: \(excess.joined(separator: "; "))", code: 1) }
        } catch {
            Bench.fail("apus-bench: \(error)", code: 1)
        }
    }

    private static let usage =
        "usage: apus-bench NAME [OPTION VALUE]...   (apus-bench NAME --help)\n\n"
        + Benchmark.all.map { "  \($0.name)" + String(repeating: " ", count: 12 - $0.name.count) + $0.summary }
        .joined(separator: "\n")

    /// The other process of ``HTTPBench``.
    private static func serveFloor(_ arguments: [String]) -> Never {
        do { try HTTPBenchFloor.serve(BenchOptions(Array(arguments.dropFirst()))) } catch {
            Bench.fail("apus-bench: \(error)", code: 1)
        }
    }

    private static func fail(_ message: String, code: CInt) -> Never {
        let bytes = Array((message + "\n").utf8)
        _ = write(STDERR_FILENO, bytes, bytes.count)
        exit(code)
    }
}

/// What every benchmark understands.
struct BenchOptions {
    var isJSON = false
    /// How often floor and figure are measured, in turn.
    var rounds = 5
    /// Where files are made: a real disk.
    var directory = "/var/tmp"
    /// What a benchmark understands beside these.
    var others: [String: String] = [:]

    init(_ arguments: [String]) throws {
        var index = 0
        func value() throws -> String {
            index += 1
            guard index < arguments.count else { throw BenchFailure("\(arguments[index - 1]) needs a value") }
            return arguments[index]
        }
        while index < arguments.count {
            let argument = arguments[index]
            switch argument {
            case "--json": self.isJSON = true
            case "--directory": self.directory = try value()
            case "--rounds":
                guard let rounds = Int(try value()), rounds > 0 else {
                    throw BenchFailure("--rounds needs a positive number")
                }
                self.rounds = rounds
            default:
                guard argument.hasPrefix("--") else { throw BenchFailure("unexpected argument '\(argument)'") }
                self.others[String(argument.dropFirst(2))] = try value()
            }
            index += 1
        }
    }

    func number(_ name: String, default value: Int) throws -> Int {
        guard let text = self.others[name] else { return value }
        guard let number = Int(text), number > 0 else { throw BenchFailure("--\(name) needs a positive number") }
        return number
    }
}

struct BenchFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

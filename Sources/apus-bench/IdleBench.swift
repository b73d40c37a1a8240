internal import ApusHTTP
internal import ApusTestSupport
internal import Glibc

/// What a server with many functions costs while nothing happens: resident memory, processor time, and the time from its start to
/// ready. There is no floor: an empty server, measured the same way, stands beside it.
enum IdleBench {
    private static let functionsPerDeploy = 250

    static func run(_ options: BenchOptions) throws -> BenchReport {
        let functions = try options.number("functions", default: 1_000)
        let duration = try options.number("seconds", default: 10)
        let site = try IdleBenchSite(directory: options.directory)
        defer { site.close() }
        var empty = IdleFigures(prefix: "empty_")
        var full = IdleFigures(prefix: "")
        for _ in 0..<options.rounds { try empty.measure(site, seconds: duration) }
        var deploy = Figure("deploy", unit: "s")
        _ = try site.start()
        deploy.add(try Self.deploy(functions, on: site))
        try site.stop()
        for _ in 0..<options.rounds { try full.measure(site, seconds: duration) }
        return BenchReport("idle", full.all + empty.all + [deploy])
    }

    /// - Returns: seconds until all are deployed.
    private static func deploy(_ count: Int, on site: IdleBenchSite) throws -> Double {
        var folders: [String] = []
        for first in stride(from: 0, to: count, by: Self.functionsPerDeploy) {
            let group = first / Self.functionsPerDeploy
            var manifest = """
                apiVersion: apus.dev/v1
                kind: Topic
                metadata: {name: idle-\(group)}
                spec: {partitions: 4}

                """
            for index in first..<min(count, first + Self.functionsPerDeploy) {
                manifest += """
                    ---
                    apiVersion: apus.dev/v1
                    kind: Function
                    metadata: {name: idle-\(index), labels: {group: "\(group)"}}
                    spec:
                      description: Does nothing, and waits.
                      runtime: python3
                      handler: main:handle
                      source: .
                      triggers:
                        - {topic: idle-\(group), filter: {type: "com.example.\(index)"}}

                    """
            }
            folders.append(try site.write("group-\(group)", manifest))
        }
        let start = seconds()
        for folder in folders { try site.apus(["deploy", folder]) }
        return seconds() - start
    }
}

/// The figures of one kind of server, a sample of each a round.
private struct IdleFigures {
    private var resident: Figure
    private var anonymous: Figure
    private var nursery: Figure
    private var cpu: Figure
    private var ready: Figure

    init(prefix: String) {
        self.resident = Figure("\(prefix)resident", unit: "bytes")
        self.anonymous = Figure("\(prefix)resident_anonymous", unit: "bytes")
        self.nursery = Figure("\(prefix)nursery_resident", unit: "bytes")
        self.cpu = Figure("\(prefix)cpu", unit: "%")
        self.ready = Figure("\(prefix)ready", unit: "ms")
    }

    var all: [Figure] { [self.resident, self.anonymous, self.nursery, self.cpu, self.ready] }

    mutating func measure(_ site: IdleBenchSite, seconds duration: Int) throws {
        self.ready.add(try site.start() * 1_000)
        // What the start leaves to be done is no idleness yet.
        sleep(2)
        let before = try site.processorSeconds()
        let start = seconds()
        sleep(UInt32(duration))
        self.cpu.add((try site.processorSeconds() - before) / (seconds() - start) * 100)
        let (server, nursery) = try site.memory()
        self.resident.add(server.resident)
        self.anonymous.add(server.anonymous)
        self.nursery.add(nursery.resident)
        try site.stop()
    }
}

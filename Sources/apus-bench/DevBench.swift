internal import ApusHTTP
internal import ApusTestSupport
internal import Glibc

/// From the moment that a file is saved under `apus dev` to the first call that the new code answers: watching, packing, sending,
/// deploying and starting a worker. There is no floor: a deploy by hand (`apus deploy --wait`) of a change stands beside it.
enum DevBench {
    static func run(_ options: BenchOptions) throws -> BenchReport {
        let site = try IdleBenchSite(directory: options.directory)
        defer { site.close() }
        _ = try site.start()
        let folder = try site.write("changing", Self.manifest)
        var saved = Figure("python.change_to_call", unit: "ms")
        var deployed = Figure("python.deploy", unit: "ms")
        var marker = 0
        do {
            let dev = try site.process(["dev", folder, "--quiet"])
            defer { dev.signal(SIGTERM) }
            try Self.wait(for: "the first deployment") { dev.output.contains("changing") || !dev.isRunning }
            for _ in 0..<options.rounds {
                marker += 1
                saved.add(try Self.change(site, folder, marker) {})
            }
        }
        for _ in 0..<options.rounds {
            marker += 1
            deployed.add(try Self.change(site, folder, marker) { try site.apus(["deploy", folder, "--wait"]) })
        }
        try site.stop()
        return BenchReport("dev", [saved, deployed])
    }

    private static let manifest = """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: changing}
        spec: {runtime: python3, handler: "main:handle"}
        """

    /// - Returns: milliseconds from before the file is written until a call is answered by what it says.
    private static func change(_ site: IdleBenchSite, _ folder: String, _ marker: Int, then deploy: () throws -> Void)
        throws -> Double
    {
        let client = try HTTPClient()
        let start = seconds()
        try writeFile("\(folder)/main.py", "def handle(event, context):\n    return \(marker)\n")
        try deploy()
        try Self.wait(for: "the answer \(marker)") {
            let answer = try site.request(client, "POST", "/v1/functions/changing/invoke")
            return String(decoding: answer.body, as: UTF8.self) == "\(marker)"
        }
        let took = (seconds() - start) * 1_000
        // Nobody saves twice within a moment.
        usleep(200_000)
        return took
    }

    private static func wait(for what: String, until isThere: () throws -> Bool) throws {
        let deadline = seconds() + 30
        while try !isThere() {
            guard seconds() < deadline else { throw BenchFailure("\(what) did not come within 30 s") }
            usleep(1_000)
        }
    }
}

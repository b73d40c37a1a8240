import ApusJSON
import ApusTestSupport
import Glibc
import Testing

@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct CostTests {
    private static let variables = [
        "APUS_POOL_DEVICES_SIMULATE": "[{kind: h100, memory: 80Gi, count: 2, hostToDevice: 50Gi}]",
        "APUS_POOL_PRICES": "h100=2.5,hostGiB=0.01,cpu=0.1,currency=EUR",
    ]

    private static func json(_ server: TestServer, _ arguments: String...) throws -> JSONValue {
        let answer = server.apus(arguments: arguments + ["--output", "json"])
        #expect(answer.status == 0, "\(answer.errors)")
        return try JSONValue.parse(Array(answer.output.utf8))
    }

    @Test func whatAFunctionUsedIsToldAtOnceAndSurvivesARestart() throws {
        let server = try TestServer(variables: Self.variables)
        try server.start()
        let manifest = Functions.between("in", "out").replacing(
            "metadata: {name: worker}", with: "metadata: {name: worker, labels: {team: search}}")
        server.deploy(try server.write("worker", manifest: manifest, files: ["main.py": Functions.echo]))
        for _ in 0..<3 { #expect(server.apus("invoke", "worker", "--data", #"{"text": "x"}"#).status == 0) }
        #expect(server.apus("publish", "in", "--data", #"{"text": "y"}"#).status == 0)
        #expect(waitUntil(seconds: 20) { server.consume("out").count == 1 })
        // The outcome is on its topic before the attempt is counted out.
        var report = try Self.json(server, "cost")
        #expect(
            waitUntil(seconds: 10) {
                guard let next = try? Self.json(server, "cost") else { return false }
                report = next
                let item = next["items"]?[0]
                // So little is used at first that it costs nothing that is told.
                return item?["calls"]?.integer == 4 && (item?["cost"]?["total"]?.double ?? 0) > 0
            })
        let item = report["items"]?[0]
        #expect(item?["name"]?.string == "worker")
        #expect((item?["workerSeconds"]?["idle"]?.double ?? 0) > 0 && (item?["cost"]?["total"]?.double ?? 0) > 0)
        #expect(report["prices"]?["currency"]?.string == "EUR")
        let callers = try Self.json(server, "cost", "--by", "principal")
        let calls = callers["items"]?.array?.map { $0["calls"]?.integer ?? 0 } ?? []
        // Three calls of the administrator, one delivery of nobody's.
        #expect(calls.sorted() == [1, 3])
        let labels = try Self.json(server, "cost", "--by", "label:team")
        #expect(labels["items"]?[0]?["name"]?.string == "search")
        let kept = try Self.json(server, "cost", "--ttl", "0s,1h")
        let lines = kept["kept"]?[0]?["items"]
        #expect((lines?[0]?["coldStarts"]?.integer ?? 0) > (lines?[1]?["coldStarts"]?.integer ?? 9))
        #expect(server.terminate() == 0)
        try server.start()
        let after = try Self.json(server, "cost")
        #expect(after["items"]?[0]?["calls"]?.integer == 4, "\(after)")
        #expect(server.apus("cost", "--by", "colour").status != 0)
        #expect(server.apus("cost", "--by", "device", "--ttl", "1h").status == 2)
    }

    /// The first uid of a block so far up that no server of these tests has it.
    private static let otherBlock: uid_t = 2_000_120_832

    @Test func simulatedDevicesAreListedDrainedAndAccountedFor() throws {
        let server = try TestServer(variables: Self.variables)
        try server.start()
        let devices = try Self.json(server, "devices")
        #expect(devices["items"]?.array?.count == 2 && devices["simulated"]?.boolean == true)
        #expect(devices["items"]?[0]?["links"]?["hostToDevice"]?.integer == 50 << 30)
        #expect(server.apus("devices", "drain", "simulated-h100-1").output.contains("drains (simulated)"))
        #expect(server.apus("devices").output.contains("draining (simulated)"))
        #expect(server.apus("devices", "clear", "nothing").status == 3)
        #expect(server.apus("top", "--once").output.contains("device simulated-h100-1 draining (simulated)"))
        // What an operator said holds over a restart, also where another server has taken this one's block of uids meanwhile: then it
        // runs as another user than before.
        #expect(server.terminate() == 0)
        try server.giveData(to: Self.otherBlock)
        try server.start()
        let restarted = try Self.json(server, "get", "devices")
        #expect(restarted["items"]?[1]?["health"]?.string == "draining", "\(restarted)")
        #expect(server.apus("devices", "clear", "simulated-h100-1").status == 0)
        let usage = try Self.json(server, "cost", "--by", "device")
        #expect(usage["items"]?.array?.count == 2 && usage["simulated"]?.boolean == true)
        for item in usage["items"]?.array ?? [] {
            let seconds = item["seconds"]
            let parts = ["busy", "idle", "transfer", "unallocated"].reduce(0) { $0 + (seconds?[$1]?.double ?? 0) }
            let total = seconds?["total"]?.double ?? 0
            #expect(total > 0 && abs(parts - total) < 0.001 && item["simulated"]?.boolean == true)
        }
        let table = server.apus("cost", "--by", "device").output
        #expect(table.contains("UNALLOCATED") && table.contains("simulated"))
    }
}

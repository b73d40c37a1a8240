import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// Functions on devices, as users see them: declared devices, real processes.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct PoolTests {
    /// Says which process answered, and how often it slept and woke.
    private static let model = """
        import os
        weights, naps = None, 0

        def start():
            wake()

        def sleep():
            global weights, naps
            weights, naps = None, naps + 1

        def wake():
            global weights
            weights = bytearray(1000)

        def handle(event, context):
            return {"pid": os.getpid(), "naps": naps, "weights": len(weights)}
        """

    private static func manifest(_ name: String, memory: String = "3Gi", scale: String, handler: String = "main:handle")
        -> String
    {
        """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: \(name)}
        spec:
          runtime: python3
          handler: \(handler)
          source: .
          resources: {memory: 128Mi, hostMemory: 64Mi, gpu: {memory: \(memory)}}
          scale: {\(scale)}
        """
    }

    private static func server(_ variables: [String: String] = [:]) throws -> TestServer {
        let devices = "[{kind: small, memory: 4Gi, hostToDevice: 20Gi, deviceToHost: 20Gi, disk: 20Gi}]"
        let server = try TestServer(variables: variables.merging(["APUS_POOL_DEVICES_SIMULATE": devices]) { $1 })
        try server.start()
        return server
    }

    private static func call(_ server: TestServer, _ name: String) throws -> (pid: Int64, naps: Int64) {
        let result = server.apus("invoke", name, "--data", "{}")
        try #require(result.status == 0, "\(name): \(result.errors)")
        let answer = try JSONValue.parse(result.output)
        #expect(answer["weights"]?.integer == 1_000)
        return (answer["pid"]?.integer ?? -1, answer["naps"]?.integer ?? -1)
    }

    private static func describe(_ server: TestServer, _ name: String) throws -> JSONValue {
        try JSONValue.parse(server.apus("describe", name, "--output", "json").output)
    }

    private static func states(_ server: TestServer, _ name: String) throws -> [String] {
        (try Self.describe(server, name)["instances"]?.array ?? []).compactMap { $0["state"]?.string }
    }

    /// From nothing to ready, to sleep, awake, and back to nothing; what it says of its starts.
    @Test func aFunctionOnADeviceSleepsWakesAndGoesBackToZero() throws {
        let server = try Self.server()
        let scale = "max: 1, gpuIdle: 800ms, hostIdle: 4s"
        server.deploy(
            try server.write("model", manifest: Self.manifest("model", scale: scale), files: ["main.py": Self.model]))
        let first = try Self.call(server, "model")
        #expect(first.naps == 0)
        var start = try Self.describe(server, "model")["lastStart"]
        #expect(start?["from"]?.string == "disk", "\(String(describing: start))")
        #expect(try waitUntil(seconds: 20) { try Self.states(server, "model") == ["sleeping"] })
        let second = try Self.call(server, "model")
        #expect(second.pid == first.pid && second.naps == 1, "the process that slept woke")
        start = try Self.describe(server, "model")["lastStart"]
        #expect(start?["from"]?.string == "host")
        #expect(start?["why"]?.string?.contains("slept") ?? false, "\(String(describing: start))")
        #expect(try waitUntil(seconds: 20) { try Self.states(server, "model").isEmpty })
        #expect(kill(pid_t(second.pid), 0) != 0 || first.pid < 100, "its process is gone")
        #expect(try Self.call(server, "model").naps == 0)
        start = try Self.describe(server, "model")["lastStart"]
        #expect(start?["why"]?.string?.contains("idle") ?? false, "\(String(describing: start))")
    }

    /// By the bytes and the links, before any start was seen; and a wake is not told as a cold start.
    @Test func whoWaitsHearsHowLongTheStartTakesFromWhereTheWeightsAre() throws {
        let server = try TestServer(variables: [
            "APUS_POOL_DEVICES_SIMULATE": "[{kind: small, memory: 4Gi, hostToDevice: 2Gi, deviceToHost: 2Gi, disk: 256Mi}]"
        ])
        try server.start()
        let manifest = Self.manifest("model", memory: "2Gi", scale: "max: 1, gpuIdle: 500ms, hostIdle: 1h")
            .replacing("hostMemory: 64Mi", with: "hostMemory: 2Gi")
        let folder = try server.write("model", manifest: manifest, files: ["main.py": Self.model])
        #expect(server.apus("deploy", folder).status == 0)
        let caller = try Caller(server)
        func told() throws -> Int {
            let answer = try caller.send(
                "POST", "/v1/functions/model/invoke", ["Accept": "text/event-stream", "Content-Type": "application/json"], body: "{}")
            let comment = answer.text.prefix { $0 != "\n" }
            #expect(comment.hasPrefix(": starting model, about ") && answer.text.contains("data: {"), "\(answer.text)")
            return Int(comment.filter(\.isNumber)) ?? -1
        }
        let cold = try told()
        #expect(cold >= 8, "2 GiB come from a disk of 256 MiB a second")
        #expect(try waitUntil(seconds: 20) { try Self.states(server, "model") == ["sleeping"] })
        #expect((1..<cold).contains(try told()))
    }

    /// A function without a device says why its starts are cold, too.
    @Test func aFunctionWithoutADeviceSaysWhyItStarted() throws {
        let server = try Self.server()
        let manifest = """
            apiVersion: apus.dev/v1
            kind: Function
            metadata: {name: plain}
            spec: {runtime: python3, handler: "main:handle", source: ., scale: {idle: 1s}}
            """
        let folder = try server.write("plain", manifest: manifest, files: ["main.py": Functions.echo])
        #expect(server.apus("deploy", folder).status == 0)
        #expect(try Self.describe(server, "plain")["lastStart"] == nil)
        #expect(server.apus("invoke", "plain", "--data", #"{"text": "x"}"#).status == 0)
        let first = try Self.describe(server, "plain")["lastStart"]
        #expect(first?["from"]?.string == "disk" && first?["seconds"]?.double ?? 0 > 0, "\(String(describing: first))")
        #expect(first?["why"]?.string?.contains("the first since") ?? false, "\(String(describing: first))")
        #expect(try waitUntil(seconds: 30) { try Self.states(server, "plain").isEmpty })
        #expect(server.apus("invoke", "plain", "--data", #"{"text": "x"}"#).status == 0)
        let second = try Self.describe(server, "plain")["lastStart"]
        #expect(second?["why"]?.string?.contains("scale.idle") ?? false, "\(String(describing: second))")
    }

    /// One has more work than it can do, without a pause, on the only device; the other is served all the same, and nobody is killed.
    @Test func oneThatIsNeverIdleMakesRoomForAnother() throws {
        let server = try Self.server()
        let slow = Self.model.replacing("import os", with: "import os, time")
            .replacing("    return {", with: "    time.sleep(0.3)\n    return {")
        let scale = "max: 1, gpuIdle: 1h, hostIdle: 1h"
        for name in ["seldom", "steady"] {
            let manifest = Self.manifest(name, scale: scale).replacing(
                "  runtime: python3", with: "  runtime: python3\n  timeout: 120s")
            server.deploy(try server.write(name, manifest: manifest, files: ["main.py": slow]))
        }
        let first = try Self.call(server, "steady")
        let enough = "\(server.folder)/enough"
        let loop = "while [ ! -e \(enough) ]; do \(server.tree)/bin/apus invoke steady --data '{}' || exit 1; done"
        let callers = try (0..<4).map { _ in try server.begin(program: "/bin/sh", ["-c", loop]) }
        let isBusy = waitUntil(seconds: 30) { server.apus("get", "instances").output.contains("busy") }
        #expect(isBusy)
        _ = try Self.call(server, "seldom")
        try writeFile(enough, "")
        for caller in callers { #expect(caller.wait(seconds: 120) == 0, "\(caller.errors)") }
        let last = try Self.call(server, "steady")
        #expect(last.pid == first.pid && last.naps >= 1, "it slept and woke: \(last)")
    }

    /// Two models, one of which fits the device: the one that is asked has it, the other sleeps; no call is lost.
    @Test func twoModelsTakeTurnsOnADeviceThatHoldsOne() throws {
        let server = try Self.server()
        let scale = "max: 1, gpuIdle: 1h, hostIdle: 1h"
        for name in ["one", "two"] {
            let folder = try server.write(
                name, manifest: Self.manifest(name, scale: scale), files: ["main.py": Self.model])
            #expect(server.apus("deploy", folder).status == 0)
        }
        let first = try Self.call(server, "one")
        // One that became ready a moment ago is not evicted for another: the call waits for that.
        _ = try Self.call(server, "two")
        #expect(try Self.states(server, "one") == ["sleeping"])
        #expect(try Self.states(server, "two") == ["ready"] && first.naps == 0)
    }

    /// Its trigger falls behind, and catches up from the log; who shares the partition does not wait for it. On Kafka in `KafkaServingTests`.
    @Test func aFunctionWithoutRoomHoldsUpNobodyOnItsPartition() throws {
        let server = try TestServer(variables: ColdAndHot.variables)
        try server.start()
        try ColdAndHot.check(server)
    }

    @Test func whoAsksForADeviceThatIsNotThereHearsOfIt() throws {
        let server = try Self.server()
        let folder = try server.write(
            "large", manifest: Self.manifest("large", memory: "100Gi", scale: "max: 1"), files: ["main.py": Self.model])
        let deploy = server.apus("deploy", folder, "--wait")
        #expect(deploy.status == 1)
        #expect(deploy.errors.contains("this server has 0"), "\(deploy.errors)")
        let call = server.apus("invoke", "large", "--data", "{}")
        #expect(call.status == 1 && call.errors.contains("pool.devices"), "\(call.errors)")
    }

    /// The newer revision finds no room beside the older: that sleeps, and is woken where the newer does not start.
    @Test func aRevisionThatDoesNotStartLeavesTheOneBeforeItServing() throws {
        let server = try Self.server()
        let scale = "max: 1, gpuIdle: 1h, hostIdle: 1h"
        server.deploy(
            try server.write("model", manifest: Self.manifest("model", scale: scale), files: ["main.py": Self.model]))
        let first = try Self.call(server, "model")
        let broken = Self.model.replacing("def start():", with: "def start():\n    raise ValueError('no weights')")
        let folder = try server.write(
            "broken", manifest: Self.manifest("model", scale: scale), files: ["main.py": broken])
        let deploy = server.apus("deploy", folder, "--wait")
        #expect(deploy.status == 1 && deploy.errors.contains("no weights"), "\(deploy.errors)")
        let after = try Self.call(server, "model")
        // It may have made room once more for another try.
        #expect(after.pid == first.pid && after.naps >= 1, "woken, and as it was")
        let better = Self.model.replacing("bytearray(1000)", with: "bytes(1000)")
        server.deploy(
            try server.write("better", manifest: Self.manifest("model", scale: scale), files: ["main.py": better]))
        let newest = try Self.call(server, "model")
        #expect(newest.naps == 0)
        #expect(try waitUntil(seconds: 20) { try Self.states(server, "model") == ["ready"] })
    }

    /// A hook that fails costs its instance, not its caller.
    @Test func oneThatDoesNotWakeIsReplaced() throws {
        let server = try Self.server()
        let source = Self.model.replacing("def wake():", with: "def wake():\n    assert naps == 0")
        let scale = "max: 1, gpuIdle: 500ms, hostIdle: 1h"
        server.deploy(
            try server.write("model", manifest: Self.manifest("model", scale: scale), files: ["main.py": source]))
        _ = try Self.call(server, "model")
        #expect(try waitUntil(seconds: 20) { try Self.states(server, "model") == ["sleeping"] })
        #expect(try Self.call(server, "model").naps == 0)
    }

    /// A run of real processes, written down and decided again: to the end, cut off by a kill, and as far as its bound goes.
    @Test(arguments: ["64Mi", "1Ki"]) func aLiveRunIsDecidedAgainAsItWas(_ bound: String) throws {
        let server = try Self.server(["APUS_POOL_RECORD": bound])
        for (name, stay) in [("one", "200ms"), ("two", "1h")] {
            let folder = try server.write(
                name, manifest: Self.manifest(name, scale: "max: 1, gpuIdle: \(stay), hostIdle: 1h"),
                files: ["main.py": Self.model])
            #expect(server.apus("deploy", folder).status == 0)
        }
        let naps = try Self.call(server, "one").naps
        #expect(naps == 0)
        #expect(try waitUntil(seconds: 20) { try Self.states(server, "one") == ["sleeping"] })
        #expect(try Self.call(server, "one").naps == 1)
        _ = try Self.call(server, "two")
        let file = "\(server.data)/pool.record"
        func replay() throws -> JSONValue {
            let result = server.apus("simulate", "--replay", file, "--output", "json")
            #expect(result.status == 0, "\(result.errors)")
            return try JSONValue.parse(result.output)
        }
        if bound == "1Ki" {
            #expect(waitUntil(seconds: 20) { (try? readFile(file))?.suffix(4) == Array("end\n".utf8)[...] })
            let size = try readFile(file).count
            #expect(size > 500 && size <= 1_024, "\(size) bytes")
            #expect(try replay()["isCut"]?.boolean == false)
            return
        }
        // What is decided is written a moment later.
        #expect(try waitUntil(seconds: 20) { (try replay()["decisions"]?.integer ?? 0) >= 6 })
        server.kill9()
        #expect(try replay()["isCut"]?.boolean == true)
        try server.start()
        _ = try Self.call(server, "one")
        #expect(server.terminate() == 0)
        let again = try replay()
        #expect(again["isCut"]?.boolean == false && again["decisions"]?.integer ?? 0 >= 2, "\(again)")
        #expect(again["transitions"]?.integer ?? 0 >= 5)
    }
}

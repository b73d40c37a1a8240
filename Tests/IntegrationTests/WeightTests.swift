import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// Files of weights, as users see them: fetched once, whole or not there, read-only, and gone when nobody names them.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct WeightTests {
    /// Serves three files of random bytes, says how it was asked, and breaks every connection to `/cut` after a megabyte.
    private static let peer = """
        import hashlib, http.server, os, random, sys, threading
        data = random.Random(7).randbytes(3_000_000)
        asked = open(sys.argv[1], "a", buffering=1)
        gate = sys.argv[2]
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            def do_GET(self):
                start = self.headers.get("Range")
                print(self.path, start or "-", file=asked)
                begin = int(start.split("=")[1].split("-")[0]) if start else 0
                if self.path == "/moved":
                    self.send_response(302)
                    self.send_header("Location", "/model")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                if self.path == "/none":
                    self.send_error(404)
                    return
                body = data if self.path != "/other" else b"x" * 1000
                self.send_response(206 if begin else 200)
                self.send_header("Content-Length", str(len(body) - begin))
                self.end_headers()
                if self.path == "/cut":
                    self.wfile.write(body[begin:begin + 1_000_000])
                    self.close_connection = True
                    return
                if self.path == "/slow":
                    # Half of it, and the rest once the test says so.
                    self.wfile.write(body[begin:begin + 1_500_000])
                    self.wfile.flush()
                    while not os.path.exists(gate): threading.Event().wait(0.05)
                    self.wfile.write(body[begin + 1_500_000:])
                    return
                self.wfile.write(body[begin:])
            def log_message(self, *words): pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        print(server.server_port, hashlib.sha256(data).hexdigest(), hashlib.sha256(b"x" * 1000).hexdigest(), flush=True)
        server.serve_forever()

        """

    private static let code = """
        import hashlib, os
        def handle(event, context):
            found = {}
            for name in sorted(os.listdir("/weights")):
                path = f"/weights/{name}"
                found[name] = hashlib.sha256(open(path, "rb").read()).hexdigest()
                for way in ("wb", "ab"):
                    try:
                        open(path, way).write(b"mine")
                        found[name] = "written"
                    except OSError: pass
            try:
                open("/weights/new", "wb")
                found["new"] = "made"
            except OSError: pass
            return found
        """

    private struct Site {
        var server: TestServer
        var peer: ChildProcess
        var scratch: ScratchDirectory
        var port: Int
        var hash: String
        var other: String

        var asked: [String] {
            String(decoding: (try? readFile("\(self.scratch.path)/asked")) ?? [], as: UTF8.self)
                .split(separator: "\n").map(String.init)
        }

        func manifest(_ name: String, _ weights: String, more: String = "") -> String {
            """
            apiVersion: apus.dev/v1
            kind: Function
            metadata: {name: \(name)}
            spec:
              runtime: python3
              handler: main:handle
              source: .
              weights: [\(weights)]
              \(more)
            """
        }

        func url(_ path: String) -> String { "http://localhost:\(self.port)\(path)" }

        @discardableResult
        func deploy(_ name: String, _ weights: String, more: String = "") throws -> TestServer.CommandResult {
            let folder = try self.server.write(
                name, manifest: self.manifest(name, weights, more: more), files: ["main.py": WeightTests.code])
            let result = self.server.apus("deploy", folder)
            #expect(result.status == 0, "\(result.errors)")
            return result
        }

        func weights(_ name: String) throws -> [JSONValue] {
            try JSONValue.parse(self.server.apus("describe", name, "--output", "json").output)["weights"]?.array ?? []
        }
    }

    private static func start(_ variables: [String: String] = [:]) throws -> Site {
        let scratch = ScratchDirectory()
        try writeFile("\(scratch.path)/peer.py", Self.peer)
        let peer = try ChildProcess(
            "/usr/bin/python3", ["\(scratch.path)/peer.py", "\(scratch.path)/asked", "\(scratch.path)/gate"],
            in: scratch.path)
        try #require(waitUntil(seconds: 20) { peer.output.contains("\n") }, "\(peer.errors)")
        let words = peer.output.split(whereSeparator: \.isWhitespace).map(String.init)
        let port = try #require(Int(words[0]))
        let server = try TestServer(arguments: ["--egress-allow-private", "127.0.0.1:\(port)"], variables: variables)
        try server.start()
        return Site(
            server: server, peer: peer, scratch: scratch, port: port, hash: words[1], other: words[2])
    }

    /// From a redirect, over connections that break, for two functions that name it differently.
    @Test func aFileIsFetchedOnceForAllAndMountedReadOnly() throws {
        let site = try Self.start()
        try site.deploy(
            "one", #"{name: model, url: "\#(site.url("/moved"))", sha256: "\#(site.hash)", size: 3Mi}"#)
        try site.deploy(
            "two",
            #"{name: other, url: "\#(site.url("/cut"))", sha256: "\#(site.hash)"}, "#
                + #"{name: code, file: main.py, sha256: "\#(try Self.hash(Self.code))"}"#
        )
        #expect(try site.weights("one").first?["tier"]?.string == "remote")
        #expect(site.asked.isEmpty, "nothing is fetched for nobody: \(site.asked)")
        let warm = site.server.apus("warm", "one")
        #expect(warm.status == 0, "\(warm.errors)")
        let first = try JSONValue.parse(site.server.apus("invoke", "one", "--data", "{}").output)
        #expect(first == ["model": .string(site.hash)], "\(first)")
        #expect(try site.weights("one").first?["tier"]?.string == "disk")
        let second = try JSONValue.parse(site.server.apus("invoke", "two", "--data", "{}").output)
        #expect(
            second == ["code": .string(try Self.hash(Self.code)), "other": .string(site.hash)], "\(second)")
        #expect(site.asked == ["/moved -", "/model -"], "\(site.asked)")
    }

    private static func hash(_ text: String) throws -> String {
        let scratch = ScratchDirectory()
        try writeFile("\(scratch.path)/text", text)
        let child = try ChildProcess("sha256sum", ["\(scratch.path)/text"], in: scratch.path)
        _ = child.wait(seconds: 20)
        return String(child.output.prefix(64))
    }

    @Test func aConnectionThatBreaksIsTakenUpWhereItBroke() throws {
        let site = try Self.start()
        try site.deploy("cut", #"{name: model, url: "\#(site.url("/cut"))", sha256: "\#(site.hash)"}"#)
        let warm = site.server.apus("warm", "cut", seconds: 90)
        #expect(warm.status == 0, "\(warm.errors)")
        #expect(site.asked == ["/cut -", "/cut bytes=1000000-", "/cut bytes=2000000-"], "\(site.asked)")
    }

    /// What a killed server had of a file is no file, and is gone on from.
    @Test func aKillInTheMiddleLeavesNothingThatLooksWhole() throws {
        let site = try Self.start()
        try site.deploy("slow", #"{name: model, url: "\#(site.url("/slow"))", sha256: "\#(site.hash)", size: 3000000}"#)
        #expect(site.server.apus("invoke", "slow", "--data", "{}", "--async").status == 0)
        let isHalf = try waitUntil(seconds: 30) {
            try site.weights("slow").first?["fetched"]?.integer ?? 0 >= 1_500_000
        }
        let seen = try site.weights("slow")
        #expect(isHalf, "\(seen)")
        #expect(try site.weights("slow").first?["bytes"]?.integer == 3_000_000)
        let waiting = site.server.apus("get", "instances").output
        #expect(waiting.contains("starting (fetching, 1.4 MiB of 2.9 MiB, 50 %)"), "\(waiting)")
        site.server.kill9()
        #expect(access("\(site.server.data)/weights/\(site.hash)", F_OK) != 0)
        try writeFile("\(site.scratch.path)/gate", "")
        try site.server.start()
        let warm = site.server.apus("warm", "slow", seconds: 90)
        #expect(warm.status == 0, "\(warm.errors)")
        #expect(site.asked.count == 2 && site.asked.last == "/slow bytes=1500000-", "\(site.asked)")
        let result = try JSONValue.parse(site.server.apus("invoke", "slow", "--data", "{}").output)
        #expect(result == ["model": .string(site.hash)])
        let start = try JSONValue.parse(site.server.apus("describe", "slow", "--output", "json").output)["lastStart"]
        #expect(start?["from"]?.string == "remote" && start?["seconds"]?.double ?? 0 > 0, "\(start ?? .null)")
        #expect(start?["why"]?.string?.hasPrefix("cold, and fetched first") ?? false, "\(start ?? .null)")
    }

    @Test func whatCannotBeFetchedIsSaid() throws {
        let site = try Self.start(["APUS_RETENTION_WEIGHTS_BYTES": "4Mi"])
        for (name, path, hash, size, said) in [
            ("none", "/none", site.hash, "3Mi", "answered 404"), ("wrong", "/other", site.hash, "3Mi", "thrown away"),
            ("large", "/model", site.hash, "2Mi", "more than 2097152 bytes"),
            ("full", "/model", site.hash, "5Mi", "retention.weightsBytes"),
        ] {
            try site.deploy(name, #"{name: model, url: "\#(site.url(path))", sha256: "\#(hash)", size: \#(size)}"#)
            let warm = site.server.apus("warm", name)
            #expect(warm.status == 1 && warm.errors.contains("weights_unavailable"), "\(name): \(warm.errors)")
            #expect(warm.errors.contains(said), "\(name): \(warm.errors)")
            #expect(try site.weights(name).first?["error"]?.string?.contains(said) ?? false)
            #expect(site.server.apus("delete", "function", name).status == 0)
        }
        #expect(access("\(site.server.data)/weights/\(site.hash)", F_OK) != 0)
    }

    /// The quota has room for one: the one that nobody names goes, the one that somebody names stays.
    @Test func whatNoDeployedRevisionNamesMakesRoom() throws {
        let site = try Self.start(["APUS_RETENTION_WEIGHTS_BYTES": "3000500"])
        try site.deploy("one", #"{name: model, url: "\#(site.url("/model"))", sha256: "\#(site.hash)", size: 3000000}"#)
        #expect(site.server.apus("warm", "one").status == 0)
        let small = #"{name: small, url: "\#(site.url("/other"))", sha256: "\#(site.other)", size: 1000}"#
        try site.deploy("two", small)
        let refused = site.server.apus("warm", "two")
        #expect(refused.status == 1 && refused.errors.contains("retention.weightsBytes"), "\(refused.errors)")
        #expect(access("\(site.server.data)/weights/\(site.hash)/data", F_OK) == 0)
        #expect(site.server.apus("delete", "function", "one").status == 0)
        let warm = site.server.apus("warm", "two")
        #expect(warm.status == 0, "\(warm.errors)")
        #expect(access("\(site.server.data)/weights/\(site.hash)/data", F_OK) != 0)
        #expect(site.server.apus("invoke", "two", "--data", "{}").output.contains(site.other))
    }

    /// On a device the pool knows that it has to be fetched, and waits for it as long as it takes.
    @Test func aFunctionOnADeviceStartsFromAfar() throws {
        let site = try Self.start(["APUS_POOL_DEVICES_SIMULATE": "[{kind: small, memory: 4Gi}]"])
        let gpu = "resources: {gpu: {memory: 1Gi}}\n  scale: {max: 1}"
        try site.deploy(
            "far", #"{name: model, url: "\#(site.url("/slow"))", sha256: "\#(site.hash)", size: 3000000}"#, more: gpu)
        #expect(site.server.apus("invoke", "far", "--data", "{}", "--async").status == 0)
        func described() throws -> JSONValue {
            try JSONValue.parse(site.server.apus("describe", "far", "--output", "json").output)
        }
        #expect(
            try waitUntil(seconds: 30) {
                try described()["instances"]?.array?.first?["state"]?.string?.hasPrefix("starting") ?? false
                    || described()["lastStart"]?["from"]?.string == "remote"
            })
        #expect(try described()["lastStart"]?["from"]?.string == "remote")
        // Who asks how far that is sees it, and no device is held meanwhile.
        let isShown = waitUntil(seconds: 30) { site.server.apus("get", "instances").output.contains("starting (fetching, 1.4 MiB of 2.9 MiB, 50 %)") }
        #expect(isShown, "\(site.server.apus("get", "instances").output)")
        let top = site.server.apus("top", "--once").output
        #expect(top.contains("fetching far 1.4 MiB of 2.9 MiB, 50 %"), "\(top)")
        let devices = try JSONValue.parse(site.server.apus("devices", "--output", "json").output)["items"]?.array ?? []
        #expect(devices.count == 1 && devices[0]["instances"]?.array?.isEmpty ?? false, "\(devices)")
        try writeFile("\(site.scratch.path)/gate", "")
        let result = site.server.apus("invoke", "far", "--data", "{}", seconds: 90)
        #expect(result.output.contains(site.hash), "\(result.errors)")
        #expect(try described()["lastStart"]?["why"]?.string?.contains("fetched") ?? false)
    }
}

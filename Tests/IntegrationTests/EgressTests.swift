import ApusCore
import ApusTestSupport
import Glibc
import Testing

/// Functions that may connect to some hosts: what they reach, what they do not, and what they never see.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct EgressTests {
    private static let peer = """
        import http.server, json, ssl, sys
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                auth = self.headers.get("Authorization") or ""
                # The length alone: whoever sends a secret back gives it away.
                answer = json.dumps({"path": self.path, "auth": len(auth), "kind": auth.split(" ")[0], "body": body}).encode()
                if self.path == "/redirect":
                    self.send_response(302)
                    self.send_header("Location", "http://169.254.169.254/latest/meta-data")
                    answer = b""
                else:
                    self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
            do_POST = do_GET
            def log_message(self, *words): pass
        plain = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        secure = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1])
        secure.socket = context.wrap_socket(secure.socket, server_side=True)
        import threading
        threading.Thread(target=plain.serve_forever, daemon=True).start()
        print(plain.server_port, secure.server_port, flush=True)
        secure.serve_forever()

        """

    private static let caller = """
        import os, socket, ssl, threading, urllib.error, urllib.request

        def handle(event, context):
            what = event.data
            try:
                if "raw" in what:
                    peer = socket.create_connection(("127.0.0.1", what.get("port", 3128)), timeout=10)
                    peer.sendall(what["raw"].encode())
                    return peer.recv(4096).decode().split("\\r\\n")[0]
                trust = ssl.create_default_context(cafile="/function/ca.pem")
                body = what["body"].encode() if "body" in what else None
                with urllib.request.urlopen(urllib.request.Request(what["url"], data=body), timeout=10, context=trust) as answer:
                    return answer.read().decode()
            except urllib.error.HTTPError as error:
                return f"{error.code} {error.reason}"
            except (urllib.error.URLError, OSError) as error:
                return str(error)

        """

    /// A server, a peer beside it with a plain port and one for TLS, and the ports.
    func start(trustsPeer: Bool = true) throws -> (
        server: TestServer, peer: ChildProcess, plain: Int, secure: Int
    ) {
        let scratch = ScratchDirectory()
        // The server reads its file of authorities once, at its start.
        defer { withExtendedLifetime(scratch) {} }
        try writeFile("\(scratch.path)/peer.py", Self.peer)
        try writeFile("\(scratch.path)/ca.pem", TestCertificate.chain)
        try writeFile("\(scratch.path)/both.pem", TestCertificate.chain + TestCertificate.key)
        let peer = try ChildProcess(
            "/usr/bin/python3", ["\(scratch.path)/peer.py", "\(scratch.path)/both.pem"], in: scratch.path)
        try #require(waitUntil(seconds: 20) { peer.output.contains("\n") }, "\(peer.errors)")
        let ports = peer.output.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
        try #require(ports.count == 2)
        let server = try TestServer(
            arguments: [
                "--egress-allow-private", "127.0.0.1:\(ports[0])", "--egress-allow-private", "127.0.0.1:\(ports[1])",
            ] + (trustsPeer ? ["--egress-ca", "\(scratch.path)/ca.pem"] : []))
        try server.start()
        return (server, peer, ports[0], ports[1])
    }

    private func manifest(_ name: String, runtime: String, _ plain: Int, _ secure: Int, more: String = "") -> String {
        """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: \(name)}
        spec:
          runtime: \(runtime)
          handler: main:handle
          sandbox:
            network:
              allow: ["localhost:\(plain)", "localhost:\(secure)", "localhost:22", "nowhere.invalid:443"]
              inject:
                - {to: "localhost:\(secure)", secret: API_KEY, prefix: "Bearer ", paths: [/v1/], methods: [POST]}
          \(more)
        """
    }

    private func invoke(_ server: TestServer, _ name: String, _ data: String) -> String {
        let result = server.apus("invoke", name, "--data", data)
        return result.output + result.errors
    }

    @Test func aPythonFunctionReachesWhatItsManifestAllowsAndNothingElse() throws {
        let (server, peer, plain, secure) = try self.start()
        defer { peer.signal(SIGKILL) }
        let secret = "s3cret-\(UInt64.random(in: 0 ... .max))"
        #expect(server.apus(arguments: ["secret", "set", "API_KEY"], input: secret).status == 0)
        let folder = try server.write(
            "caller", manifest: self.manifest("caller", runtime: "python3", plain, secure),
            files: ["main.py": Self.caller, "ca.pem": TestCertificate.chain])
        server.deploy(folder)
        func get(_ url: String) -> String { self.invoke(server, "caller", #"{"url": "\#(url)"}"#) }

        #expect(get("http://localhost:\(plain)/a?b").contains(#"\"path\": \"/a?b\""#))
        // TLS from the function to the server: the egress process sees bytes.
        #expect(get("https://localhost:\(secure)/t").contains(#"\"path\": \"/t\", \"auth\": 0"#))
        // TLS from the egress process: it adds the secret, where the manifest says so.
        let posted = self.invoke(
            server, "caller", #"{"url": "http://localhost:\#(secure)/v1/chat", "body": "hello"}"#)
        #expect(
            posted.contains(
                #"\"auth\": \#("Bearer ".utf8.count + secret.utf8.count), \"kind\": \"Bearer\", \"body\": \"hello\""#),
            "\(posted)")
        #expect(get("http://localhost:\(secure)/v1/chat").contains(#"\"auth\": 0"#))

        for (url, answer) in [
            ("http://169.254.169.254/latest/meta-data", "403 not_allowed"), ("http://example.com/", "403 not_allowed"),
            ("http://127.0.0.1:\(plain)/", "403 not_allowed"), ("http://2130706433:\(plain)/", "400 malformed"),
            ("http://0x7f.1:\(plain)/", "400 malformed"), ("http://localhost.:\(plain)/", #"\"path\": \"/\""#),
            // It resolves to an address that the operator did not allow at that port.
            ("http://localhost:22/", "403 private_address"), ("https://nowhere.invalid/", "502 unresolved"),
            // A redirect is a request like any other.
            ("http://localhost:\(plain)/redirect", "403 not_allowed"),
        ] {
            let seen = get(url)
            #expect(seen.contains(answer), "\(url): \(seen)")
        }
        func raw(_ text: String, port: Int = 3128) -> String {
            self.invoke(server, "caller", #"{"port": \#(port), "raw": "\#(text)"}"#)
        }
        #expect(raw(#"CONNECT localhost:25 HTTP/1.1\r\n\r\n"#).contains("403"))
        #expect(raw(#"CONNECT evil@localhost:\#(plain) HTTP/1.1\r\n\r\n"#).contains("400"))
        #expect(
            raw(#"GET http://localhost:\#(plain)/ HTTP/1.1\r\nHost: other.example\r\n\r\n"#).contains(
                "403 host_mismatch"))
        #expect(
            raw(
                #"POST http://localhost:\#(secure)/v1/x HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"#
            ).contains("400"))
        #expect(
            raw(#"POST http://localhost:\#(secure)/v1/../x HTTP/1.1\r\nContent-Length: 0\r\n\r\n"#).contains(
                "403 ambiguous_path"))
        // Around the proxy there is nothing.
        #expect(raw("x", port: plain).contains("Permission denied"))

        let isLogged = waitUntil(seconds: 20) {
            let log = server.apus("logs", "caller").output
            return [
                "egress: allowed localhost:\(plain) (127.0.0.1)",
                "egress: allowed localhost:\(secure) (127.0.0.1) with authorization",
                "not_allowed: 169.254.169.254:80 is not in spec.sandbox.network.allow", "private_address: localhost is",
            ].allSatisfy { log.contains($0) }
        }
        let log = server.apus("logs", "caller").output
        #expect(isLogged, "\(log)")
        #expect(!log.contains(secret) && !server.log.contains(secret))
        let metrics = try Caller(server).send("GET", "/metrics").text
        #expect(metrics.contains("apus_egress_running 1\n") && metrics.contains("apus_egress_workers 1\n"))
        #expect(metrics.contains(#"apus_egress_connections_total{result="refused"}"#))
    }

    @Test func aServerThatNobodyVouchesForGetsNoSecretAndNoFunctionSpeaksForAnother() throws {
        let (server, peer, plain, secure) = try self.start(trustsPeer: false)
        defer { peer.signal(SIGKILL) }
        #expect(server.apus(arguments: ["secret", "set", "API_KEY"], input: "x").status == 0)
        let files = ["main.py": Self.caller, "ca.pem": TestCertificate.chain]
        let folder = try server.write(
            "caller", manifest: self.manifest("caller", runtime: "python3", plain, secure, more: "scale: {min: 1}"),
            files: files)
        server.deploy(folder)
        let posted = self.invoke(server, "caller", #"{"url": "http://localhost:\#(secure)/v1/chat", "body": "hello"}"#)
        #expect(posted.contains("502 tls_failed"), "\(posted)")
        // Beside a worker that may, one that may not.
        let other = self.manifest("other", runtime: "python3", plain, secure)
            .replacing(#""localhost:\#(plain)", "#, with: "")
        server.deploy(try server.write("other", manifest: other, files: files))
        let ask = #"{"url": "http://localhost:\#(plain)/x"}"#
        #expect(self.invoke(server, "caller", ask).contains("path"))
        #expect(self.invoke(server, "other", ask).contains("403 not_allowed"))
    }

    @Test func itGoesOnAfterTheEgressProcessWasKilled() throws {
        let (server, peer, plain, secure) = try self.start()
        defer { peer.signal(SIGKILL) }
        #expect(server.apus(arguments: ["secret", "set", "API_KEY"], input: "x").status == 0)
        let folder = try server.write(
            "caller", manifest: self.manifest("caller", runtime: "python3", plain, secure, more: "scale: {min: 1}"),
            files: ["main.py": Self.caller, "ca.pem": TestCertificate.chain])
        server.deploy(folder)
        let ask = #"{"url": "http://localhost:\#(plain)/x"}"#
        #expect(self.invoke(server, "caller", ask).contains("path"))
        let first = try self.egress(of: server)
        #expect(first.user >= 65_536)
        kill(first.process, SIGKILL)
        // The same worker, whose socket the next process is given.
        #expect(waitUntil(seconds: 20) { self.invoke(server, "caller", ask).contains("path") })
        let second = try self.egress(of: server).process
        #expect(second != first.process)
        #expect(server.log.contains("the egress process ended (signal 9)"))
        #expect(server.terminate() == 0)
        #expect(waitUntil(seconds: 10) { kill(second, 0) != 0 })
    }

    /// The egress process below this server, found by its name and the server's uids.
    private func egress(of server: TestServer) throws -> (process: pid_t, user: Int) {
        let own = try #require(server.process).pid
        guard let directory = opendir("/proc") else { throw ApusError(.internal, "no /proc") }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard let pid = pid_t(name), let words = try? readFile("/proc/\(pid)/status") else { continue }
            let lines = String(decoding: words, as: UTF8.self).split(separator: "\n")
            func field(_ name: String) -> Int? {
                lines.first { $0.hasPrefix(name) }?.split(separator: "\t").dropFirst().first.flatMap { Int($0) }
            }
            guard lines.first?.hasSuffix("egress") == true, let nursery = field("PPid:"),
                let status = try? readFile("/proc/\(nursery)/status")
            else { continue }
            let parent = String(decoding: status, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix("PPid:") }
            if parent?.hasSuffix("\t\(own)") == true { return (pid, field("Uid:") ?? 0) }
        }
        throw ApusError(.notFound, "there is no egress process below \(own)")
    }

    @Test(.enabled(if: access("/usr/bin/node", X_OK) == 0, "/usr/bin/node is not there: apt install nodejs"))
    func aNodeFunctionUsesFetchAndItsOwnModules() throws {
        let (server, peer, plain, secure) = try self.start()
        defer { peer.signal(SIGKILL) }
        #expect(server.apus(arguments: ["secret", "set", "API_KEY"], input: "node-key").status == 0)
        let source = """
            import https from "node:https";

            export async function handle(event) {
              const { url, body, plain } = event.data;
              try {
                if (plain) {
                  return await new Promise((resolve, reject) => {
                    https.get(url, (answer) => { answer.resume(); resolve(answer.statusCode); }).on("error", reject);
                  });
                }
                const answer = await fetch(url, body ? { method: "POST", body } : {});
                return { status: answer.status, text: await answer.text() };
              } catch (error) {
                return String(error.cause ?? error);
              }
            }
            """
        let folder = try server.write(
            "js",
            manifest: self.manifest(
                "js", runtime: "node", plain, secure, more: "env: {NODE_EXTRA_CA_CERTS: /function/ca.pem}"),
            files: ["main.mjs": source, "ca.pem": TestCertificate.chain])
        server.deploy(folder)
        #expect(self.invoke(server, "js", #"{"url": "http://localhost:\#(plain)/a"}"#).contains(#"\"path\": \"/a\""#))
        let secured = self.invoke(server, "js", #"{"url": "https://localhost:\#(secure)/b"}"#)
        #expect(secured.contains(#"\"path\": \"/b\", \"auth\": 0"#), "\(secured)")
        #expect(self.invoke(server, "js", #"{"url": "https://localhost:\#(secure)/b", "plain": true}"#) == "200")
        let posted = self.invoke(server, "js", #"{"url": "http://localhost:\#(secure)/v1/c", "body": "hi"}"#)
        #expect(posted.contains(#"\"auth\": 15"#) && posted.contains(#"\"body\": \"hi\""#), "\(posted)")
        #expect(self.invoke(server, "js", #"{"url": "http://169.254.169.254/"}"#).contains(#""status":403"#))
        #expect(
            self.invoke(server, "js", #"{"url": "https://example.com/"}"#).contains(
                "egress: 403 not_allowed for example.com:443"))
    }

    @Test func hostileCodeWithAWayOutHasThatAndNothingMore() throws {
        let (server, peer, plain, secure) = try self.start()
        defer { peer.signal(SIGKILL) }
        #expect(server.apus(arguments: ["secret", "set", "API_KEY"], input: "x").status == 0)
        let manifest = self.manifest("hostile", runtime: "python3", plain, secure, more: "reuse: never")
            .replacing("  sandbox:\n", with: "  sandbox:\n    isolation: hostile\n")
        let folder = try server.write(
            "hostile", manifest: manifest, files: ["main.py": Self.caller, "ca.pem": TestCertificate.chain])
        let result = server.apus("deploy", folder, "--wait")
        // A host that lacks a layer runs no hostile code at all.
        guard result.status == 0 else {
            #expect(result.errors.contains("sandbox_unavailable"), "\(result.errors)")
            return
        }
        for count in 0..<3 {
            let seen = self.invoke(server, "hostile", #"{"url": "http://localhost:\#(plain)/\#(count)"}"#)
            #expect(seen.contains(#"\"path\": \"/\#(count)\""#), "\(seen)")
        }
    }
}

import ApusHTTP
import ApusJSON
import ApusTestSupport
import Glibc
import Testing

@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct HTTPTriggerTests {
    private static func manifest(_ name: String, _ triggers: String, namespace: String = "default") -> String {
        """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: \(name), namespace: \(namespace)}
        spec:
          runtime: python3
          handler: main:handle
          source: .
          resources: {memory: 128Mi}
          triggers:
        \(triggers)
        """
    }

    @Test func theShippedEchoDescribesItsRequest() throws {
        let server = try TestServer()
        try server.start()
        server.deploy("\(InstalledTree.packageRoot)/functions/http-echo")
        let caller = try Caller(server)
        let answer = try caller.send(
            "POST", "/fn/echo/%C3%A9%20b?lang=fr&lang=de",
            ["Content-Type": "application/json", "Cookie": "a=b", "X-Request-Id": "7"], body: #"{"n": 1}"#)
        #expect(answer.status == 200 && answer.header("X-Echo") == "POST", "\(answer.text)")
        let value = try JSONValue.parse(answer.body)
        #expect(value["path"] == "/echo/é b" && value["params"] == ["name": "é b"] && value["body"] == ["n": 1])
        #expect(value["query"] == ["lang": ["fr", "de"]])
        #expect(value["headers"]?["x-request-id"] == "7" && value["headers"]?["content-type"] == "application/json")
        #expect(try caller.send("GET", "/fn/echo/a/b/c?status=418").status == 418)
        let head = try caller.send("HEAD", "/fn/echo/a")
        #expect(head.status == 200 && head.header("X-Echo") == "GET" && head.body.isEmpty)
    }

    @Test func whatIsNotThereIsToldAsOtherPathsTellIt() throws {
        let server = try TestServer()
        try server.start()
        server.deploy("\(InstalledTree.packageRoot)/functions/http-echo")
        let caller = try Caller(server)
        #expect(try caller.send("POST", "/fn/echo/a", isKnown: false).status == 401)
        #expect(try caller.send("POST", "/fn/none", isKnown: false).status == 401)
        let none = try caller.send("POST", "/fn/none")
        #expect(none.status == 404 && none.header("Content-Type") == "application/problem+json", "\(none.text)")
        let method = try caller.send("POST", "/fn/echo/a/b")
        #expect(method.status == 405 && method.header("Allow") == "GET, HEAD, OPTIONS", "\(method.text)")
        let options = try caller.send("OPTIONS", "/fn/echo/a")
        #expect(options.status == 204 && options.header("Allow")?.contains("PATCH") == true)
        #expect(try caller.send("GET", "/fn/echo/%2e%2e").status == 400)
        #expect(try caller.send("GET", "/fn/echo/a?x=%zz").status == 400)
        // A page of another origin is refused whatever the trigger says: there is no CORS.
        let foreign = try caller.send("POST", "/fn/echo/a", ["Origin": "https://evil.example"])
        #expect(foreign.status == 403 && foreign.header("Access-Control-Allow-Origin") == nil)
        #expect(try caller.send("POST", "/fn/echo/a", ["Prefer": "respond-async"]).status == 202)
        // Two functions cannot want the same requests.
        let rival = Self.manifest("rival", "  - http: {path: \"/echo/{other}\", methods: [POST]}")
        let refused = server.apus(
            "deploy", try server.write("rival", manifest: rival, files: ["main.py": Functions.echo]))
        #expect(refused.status == 1 && refused.errors.contains("http-echo"), "\(refused.errors)")
    }

    @Test func aPublicTriggerIsOpenAndNothingElseIs() throws {
        let server = try TestServer()
        try server.start()
        let code = """
            import apus
            def handle(event, context):
                if event.http.path == "/fail":
                    raise ValueError("sesame")
                if event.http.path == "/bad":
                    return apus.Response("x", headers={"Set-Cookie": "apus_session=1"})
                return sorted(event.http.headers)
            """
        let triggers = """
              - {name: open, http: {path: "/{what}", methods: [GET], auth: public}}
              - {name: closed, http: {path: /admin, methods: [GET]}}
            """
        server.deploy(try server.write("a", manifest: Self.manifest("a", triggers), files: ["main.py": code]))
        let team = Self.manifest("b", "  - http: {path: /x, methods: [GET], auth: public}", namespace: "team")
        server.deploy(try server.write("b", manifest: team, files: ["main.py": code]))
        let caller = try Caller(server)
        let open = try caller.send("GET", "/fn/x", ["Cookie": "apus_session=1"], isKnown: false)
        #expect(open.status == 200, "\(open.text)")
        #expect(open.header("Content-Security-Policy")?.contains("sandbox") == true)
        #expect(try caller.send("HEAD", "/fn/x", isKnown: false).status == 200)
        let names = try caller.send("GET", "/fn/x", ["Cookie": "apus_session=1"]).text
        #expect(!names.contains("authorization") && !names.contains("cookie") && names.contains("host"), "\(names)")
        for (method, path) in [
            ("GET", "/fn/admin"), ("GET", "/fn/%61dmin"), ("POST", "/fn/x"), ("GET", "/fn/x/y"),
            ("GET", "/v1/functions"),
            ("GET", "/v1/functions/a"), ("POST", "/v1/functions/a/invoke"), ("GET", "/metrics"), ("OPTIONS", "/fn/x"),
        ] {
            let answer = try caller.send(method, path, isKnown: false)
            #expect(answer.status == 401, "\(method) \(path): \(answer.status)")
        }
        #expect(try caller.send("GET", "/v1/namespaces/team/fn/x", isKnown: false).status == 200)
        #expect(try caller.send("GET", "/v1/namespaces/default/fn/x", isKnown: false).status == 200)
        #expect(try caller.send("GET", "/v1/namespaces/other/fn/x", isKnown: false).status == 401)
        // Who has no token is not told how a function is made; its owner is.
        let fail = try caller.send("GET", "/fn/fail", isKnown: false)
        #expect(fail.status == 502 && !fail.text.contains("sesame"), "\(fail.text)")
        #expect(try caller.send("GET", "/fn/fail").text.contains("sesame"))
        let bad = try caller.send("GET", "/fn/bad")
        #expect(
            bad.status == 502 && bad.text.contains("apus_session") && bad.header("Set-Cookie") == nil, "\(bad.text)")
        // Once it is not public any more, nobody gets in.
        let closed = triggers.replacing("auth: public", with: "auth: required")
        server.deploy(try server.write("a", manifest: Self.manifest("a", closed), files: ["main.py": code]))
        #expect(try caller.send("GET", "/fn/x", isKnown: false).status == 401)
    }

    @Test func eventsAndStreamsGoThroughATrigger() throws {
        let server = try TestServer()
        try server.start()
        let code = """
            import apus
            def handle(event, context):
                if event.http.path == "/stream":
                    return apus.Response(({"n": n} for n in range(3)), status=203)
                if event.http.path == "/page":
                    return apus.Response((part for part in ("<p>", "é</p>")), headers={"Content-Type": "text/html"})
                return [event.id, event.type, event.source, event.data]
            """
        let triggers = "  - http: {path: \"/{what}\", methods: [POST]}"
        server.deploy(try server.write("a", manifest: Self.manifest("a", triggers), files: ["main.py": code]))
        let caller = try Caller(server)
        let wrapped = try JSONValue.parse(
            try caller.send("POST", "/fn/x", ["Content-Type": "application/json"], body: "7").body)
        #expect(wrapped.array?.dropFirst() == ["dev.apus.http.request", "/fn/x", 7], "\(wrapped)")
        let event = [
            "ce-specversion": "1.0", "ce-id": "i", "ce-type": "t", "ce-source": "/s",
            "Content-Type": "application/json",
        ]
        #expect(try JSONValue.parse(try caller.send("POST", "/fn/x", event, body: "7").body) == ["i", "t", "/s", 7])
        let lines = try caller.send("POST", "/fn/stream")
        #expect(lines.status == 203 && lines.text == "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n", "\(lines.text)")
        let events = try caller.send("POST", "/fn/stream", ["Accept": "text/event-stream"])
        #expect(events.header("Content-Type") == "text/event-stream")
        #expect(events.text.hasPrefix("data: {\"n\":0}\n\ndata: {\"n\":1}\n\n") && events.text.contains("event: end"))
        let page = try caller.send("POST", "/fn/page")
        #expect(page.text == "<p>é</p>" && page.header("Content-Type") == "text/html")
    }
}

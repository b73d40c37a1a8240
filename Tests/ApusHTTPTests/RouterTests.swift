import ApusCore
@testable import ApusHTTP
import Testing

@Suite struct RouterTests {
    private static var router: Router<String> {
        var router = Router<String>()
        router.add("GET", "/", "console")
        router.add("GET", "/healthz", "health")
        router.addNamespaced("POST", "/v1/topics/{topic}/events", "publish")
        router.addNamespaced("GET", "/v1/topics/{topic}/events", "consume")
        router.add("GET", "/v1/functions/{name}", "get")
        router.add("DELETE", "/v1/functions/{name}", "delete")
        router.add("GET", "/v1/functions/builtin", "builtin")
        router.add("*", "/fn/{path...}", "trigger")
        return router
    }

    private static func found(_ method: String, _ path: String) throws -> (String, RouteParameters)? {
        if case .found(let name, let parameters) = Self.router.match(
            method: method, path: try RequestPath(parsing: path))
        {
            return (name, parameters)
        }
        return nil
    }

    @Test(arguments: [
        ("GET", "/", "console"), ("GET", "/healthz", "health"), ("HEAD", "/healthz", "health"),
        ("POST", "/v1/topics/a.b/events", "publish"), ("POST", "/v1/namespaces/team/topics/t/events", "publish"),
        ("GET", "/v1/functions/builtin", "builtin"), ("DELETE", "/v1/functions/builtin", "delete"),
        ("GET", "/v1/functions/other", "get"), ("PATCH", "/fn/a/b/c", "trigger"), ("GET", "/fn/", "trigger"),
        ("GET", "/fn", "trigger"),
    ])
    func `a request finds its route`(method: String, path: String, name: String) throws {
        #expect(try Self.found(method, path)?.0 == name)
    }

    @Test func `parameters are what the segments were, decoded once`() throws {
        let route = try #require(try Self.found("POST", "/v1/namespaces/team/topics/a%2525b/events"))
        #expect(route.1["ns"] == "team")
        #expect(route.1["topic"] == "a%25b")
        #expect(route.1["other"] == nil)
        #expect(try Self.found("GET", "/fn/embed/a%20b")?.1["path"] == "embed/a b")
    }

    @Test(arguments: [
        "/v1", "/v1/topics", "/v1/topics/t/events/", "/v1/topics//events", "/healthz/", "/V1/topics/t/events",
    ])
    func `what has no route is not found`(path: String) throws {
        guard let path = try? RequestPath(parsing: path) else { return }
        guard case .notFound = Self.router.match(method: "GET", path: path) else {
            Issue.record("something was found")
            return
        }
    }

    @Test func `a method that does not exist is told which do`() throws {
        let match = Self.router.match(method: "PUT", path: try RequestPath(parsing: "/v1/functions/builtin"))
        guard case .methodNotAllowed(let methods) = match else {
            Issue.record("it was \(match)")
            return
        }
        #expect(methods == ["DELETE", "GET", "HEAD"])
    }

    @Test func `a server answers what has no route with a problem`() throws {
        try withServer(handler: { exchange in
            var router = Router<HTTPHandler>()
            router.add("GET", "/a/{b}") { exchange, parameters in
                exchange.respond(status: 200, body: Array((parameters["b"] ?? "").utf8))
            }
            router.dispatch(exchange)
        }) { server in
            let client = try RawClient(port: server.port)
            for (method, path, status) in [
                ("GET", "/a/x", 200), ("GET", "/b", 404), ("POST", "/a/x", 405), ("OPTIONS", "/a/x", 204),
                ("GET", "/a/..", 400),
                ("GET", "/a/%2e%2E", 400), ("GET", "/a/%00", 400), ("GET", "/a/b%2Fc", 400), ("GET", "/a/%zz", 400),
                ("GET", "/a//b", 400),
                ("GET", "/a/%ff", 400),
            ] {
                client.send(request(method, path))
                let response = try client.response(hasBody: status != 204)
                #expect(response.status == status, "\(method) \(path)")
                if status == 405 || status == 204 { #expect(response.header("allow") == "GET, HEAD") }
                if status >= 400 { #expect(response.header("content-type") == "application/problem+json") }
            }
        }
    }
}

@Suite struct ProblemTests {
    @Test func `every code has its status`() {
        for code in ErrorCode.allCases { #expect(ErrorCode.statuses[code] != nil, "\(code) has no row in the table") }
        #expect(ErrorCode.queueFull.httpStatus == 429)
        #expect(ErrorCode.internal.httpStatus == 500)
    }

    @Test func `a problem is one line of JSON with its code`() {
        let problem = Problem(.invalidEvent, "a \"quote\"\nand a line", errors: ["one", "t\two"])
        #expect(
            String(decoding: problem.json(), as: UTF8.self)
                == #"{"type":"urn:apus:error:invalid_event","title":"invalid event","status":400,"code":"invalid_event","#
                + #""detail":"a \"quote\"\nand a line","errors":["one","t\two"]}"#
        )
    }
}

@Suite struct OriginPolicyTests {
    @Test(arguments: [
        ("localhost", "localhost"), ("localhost:80", "localhost"), ("[::1]", "[::1]"), ("[::1]:8787", "[::1]"),
        ("", ""), ("[", "["), ("[]", "[]"),
        ("a:123456", "a:123456"), ("a:b", "a:b"), ("a:1:2", "a:1:2"), ("[::1]x", "[::1]x"), ("a:", "a"),
        ("[::1", "[::1"), ("\u{E9}:1", "\u{E9}"),
    ])
    func `a host is told from its port`(host: String, name: String) {
        #expect(OriginPolicy.withoutPort(host) == name)
    }
}

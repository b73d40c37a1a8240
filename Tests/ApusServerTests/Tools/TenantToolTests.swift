import ApusCore
import ApusCrypto
import ApusHTTP
import ApusJSON
import ApusLoop
import ApusStore
import ApusTestSupport
import ApusTools
import Synchronization
import Testing

@testable import ApusServer

/// Two tenants with functions, tools and tool servers of the same names: what an agent of one reaches is its own.
@Suite(.timeLimit(.minutes(3))) struct TenantToolTests {
    private static let tenants = ["crimson", "azure"]

    /// A whole server with both tenants, and an issuer whose tokens say of which one their holders are.
    private struct Site {
        let signer: TestSigner
        let issuer: TestIssuer
        let bed: ServerBed

        init() throws {
            let signer = TestSigner(.es256, id: "k1")
            let issuer = try TestIssuer([signer.jwk])
            self.signer = signer
            self.issuer = issuer
            self.bed = try ServerBed { configuration in
                configuration.auth.issuers = [
                    TokenIssuer(
                        issuer: "https://login.example", keys: issuer.url, audience: "apus", namespaceClaim: "tenant",
                        roles: ["tools": .caller, "decide": .approver, "look": .reader], allowsPrivate: true)
                ]
            }
            for tenant in TenantToolTests.tenants {
                try self.deploy("price", "tool", #"{"name":"price","input":{"type":"object"}}"#, tenant)
                try self.deploy("later", "tool", #"{"name":"later","input":{"type":"object"},"async":"required"}"#, tenant)
                try self.deploy(
                    "risky", "tool",
                    #"{"name":"risky","input":{"type":"object"},"approval":{"when":"always","by":"approver"}}"#, tenant)
                try self.deploy("about", "prompt", #"{"name":"about"}"#, tenant)
                try self.deploy("sheet", "resource", #"{"name":"sheet","uri":"shop://sheet","mimeType":"text/plain"}"#, tenant)
                // So many that a list has two pages.
                for index in 0..<Limits.Tools.pageItems {
                    try self.deploy("f\(index)", "tool", #"{"name":"t\#(index)","input":{"type":"object"}}"#, tenant)
                }
                try self.put(
                    tenant, "tool-servers/shop",
                    #"{"apiVersion":"apus.dev/v1","kind":"ToolServer","metadata":{"name":"shop","namespace":"\#(tenant)"},"#
                        + #""spec":{"tools":{"names":["price"]},"instructions":"The shop of \#(tenant).","#
                        + #""limits":{"callsPerDay":2}}}"#)
                try self.put(tenant, "secrets/KEY", "of \(tenant)")
            }
            let token = self.token("crimson")
            #expect(try waitUntil(seconds: 20) { try self.post("/mcp", token, "tools/list").status == 200 })
        }

        func end() {
            self.bed.server.stop()
            self.issuer.close()
        }

        private func put(_ tenant: String, _ path: String, _ body: String, _ headers: [HTTPHeader] = []) throws {
            let answer = try self.bed.ask("PUT", "/v1/namespaces/\(tenant)/\(path)", headers: headers, body: body)
            #expect((200..<300).contains(answer.status), "\(path): \(answer.text)")
        }

        private func deploy(_ name: String, _ kind: String, _ offer: String, _ tenant: String) throws {
            try self.put(
                tenant, "functions/\(name)",
                #"{"apiVersion":"apus.dev/v1","kind":"Function","metadata":{"name":"\#(name)","namespace":"\#(tenant)"},"#
                    + #""spec":{"description":"Of \#(tenant).","runtime":"python3","handler":"main:handle","source":".","#
                    + #""\#(kind)":\#(offer)}}"#,
                [HTTPHeader("Apus-Bundle", try self.bed.makeBundle())])
        }

        /// A token of somebody of a tenant; nil leaves the claim out.
        func token(_ tenant: String?, _ scope: String = "tools", of subject: String = "ada") -> String {
            var claims: JSONValue = [
                "iss": "https://login.example", "sub": .string(subject), "aud": "apus", "scope": .string(scope),
                "exp": .integer(SystemClock().now.milliseconds / 1_000 + 600),
            ]
            if let tenant { claims["tenant"] = .string(tenant) }
            return self.signer.token(claims)
        }

        /// A message of an agent of 2026-07-28.
        func post(
            _ path: String, _ token: String, _ method: String, _ params: [String: JSONValue] = [:]
        ) throws -> HTTPResponse {
            var head = [
                HTTPHeader("Authorization", "Bearer \(token)"), HTTPHeader("Content-Type", "application/json"),
                HTTPHeader("Accept", "application/json, text/event-stream"),
                HTTPHeader("MCP-Protocol-Version", "2026-07-28"), HTTPHeader("Mcp-Method", method),
            ]
            if let name = params["name"]?.string ?? params["uri"]?.string ?? params["taskId"]?.string {
                head.append(HTTPHeader("Mcp-Name", name))
            }
            var members = JSONObject()
            for (name, value) in params { members[name] = value }
            members["_meta"] = [
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": [
                    "extensions": ["io.modelcontextprotocol/tasks": [:]]
                ],
            ]
            let body: JSONValue = ["jsonrpc": "2.0", "id": 1, "method": .string(method), "params": .object(members)]
            return try self.bed.ask(
                "POST", path, headers: head, body: String(decoding: body.encoded(), as: UTF8.self), hasToken: false)
        }

        func json(
            _ path: String, _ token: String, _ method: String, _ params: [String: JSONValue] = [:]
        ) throws -> JSONValue {
            let answer = try self.post(path, token, method, params)
            let line = answer.text.split(separator: "\n").last { $0.hasPrefix("data: {") }
            return try JSONValue.parse(line.map { Array($0.dropFirst(6).utf8) } ?? answer.body)
        }

        func code(
            _ path: String, _ token: String, _ method: String, _ params: [String: JSONValue] = [:]
        ) throws -> Int64? { try self.json(path, token, method, params)["error"]?["code"]?.integer }
    }

    @Test func theClaimOfATokenSaysWhoseToolsItIsShown() throws {
        let site = try Site()
        defer { site.end() }
        for (own, other) in [("crimson", "azure"), ("azure", "crimson")] {
            let token = site.token(own)
            for (path, count) in [("/mcp", Limits.Tools.pageItems), ("/mcp/shop", 1), ("/v1/namespaces/\(own)/mcp/shop", 1)] {
                let list = try site.json(path, token, "tools/list")
                let tools = try #require(list["result"]?["tools"]?.array, "\(path): \(list)")
                #expect(tools.count == count, "\(path)")
                #expect(tools.allSatisfy { $0["description"]?.string == "Of \(own)." }, "\(path)")
            }
            let discovered = try site.json("/mcp/shop", token, "server/discover")
            #expect(discovered["result"]?["instructions"]?.string == "The shop of \(own).")
            for list in ["prompts/list", "resources/list"] {
                let text = String(decoding: try site.json("/mcp", token, list).encoded(), as: UTF8.self)
                #expect(text.contains("Of \(own).") && !text.contains(other), "\(list): \(text)")
            }
            // Not by asking for it either.
            for path in ["/v1/namespaces/\(other)/mcp", "/v1/namespaces/\(other)/mcp/shop", "/v1/namespaces/default/mcp"] {
                #expect(try site.post(path, token, "tools/list").status == 403, "\(path)")
            }
        }
        // What maps to no namespace has no place.
        #expect(try site.post("/mcp", site.token(nil), "tools/list").status == 403)
        #expect(try site.post("/mcp", site.token("No Label"), "tools/list").status == 403)
        // One that there is nothing in is empty, and not somebody else's.
        let empty = try site.json("/mcp", site.token("green"), "tools/list")
        #expect(empty["result"]?["tools"] == [], "\(empty)")
        #expect(try site.post("/mcp/shop", site.token("green"), "tools/list").status == 404)
    }

    @Test func nothingThatOneTenantWasGivenIsGoodForAnother() throws {
        let site = try Site()
        defer { site.end() }
        let (crimson, azure) = (site.token("crimson"), site.token("azure"))
        // Cursors.
        let page = try site.json("/mcp", crimson, "tools/list")
        let cursor = try #require(page["result"]?["nextCursor"]?.string, "\(page)")
        #expect(try site.code("/mcp", crimson, "tools/list", ["cursor": .string(cursor)]) == nil)
        #expect(try site.code("/mcp", azure, "tools/list", ["cursor": .string(cursor)]) == -32602)
        // Tasks: one of the same caller, by its name, in another tenant.
        let made = try site.json("/mcp", crimson, "tools/call", ["name": "later", "arguments": [:]])
        let task = try #require(made["result"]?["taskId"]?.string, "\(made)")
        #expect(try site.code("/mcp", crimson, "tasks/get", ["taskId": .string(task)]) == nil)
        for method in ["tasks/get", "tasks/cancel"] {
            #expect(try site.code("/mcp", azure, method, ["taskId": .string(task)]) == -32602, "\(method)")
        }
        // Approvals.
        let asked = try site.json("/mcp", crimson, "tools/call", ["name": "risky", "arguments": [:]])
        let id = try #require(asked["result"]?["_meta"]?["dev.apus/approval"]?["id"]?.string, "\(asked)")
        func approvals(_ tenant: String, _ method: String, _ path: String) throws -> HTTPResponse {
            let token = site.token(tenant, "decide", of: "bob")
            return try site.bed.ask(
                method, "/v1/namespaces/\(tenant)/approvals\(path)",
                headers: [HTTPHeader("Authorization", "Bearer \(token)")], body: method == "POST" ? "{}" : nil,
                hasToken: false)
        }
        #expect(try approvals("azure", "GET", "").text.contains(id) == false)
        #expect(try approvals("azure", "GET", "/\(id)").status == 404)
        #expect(try approvals("azure", "POST", "/\(id)/accept").status == 404)
        #expect(try approvals("crimson", "GET", "/\(id)").status == 200)
        // Sessions.
        func session(_ token: String, _ id: String?, _ method: String, _ params: String) throws -> HTTPResponse {
            var head = [
                HTTPHeader("Authorization", "Bearer \(token)"), HTTPHeader("Content-Type", "application/json"),
                HTTPHeader("Accept", "application/json, text/event-stream"),
            ]
            if let id { head.append(HTTPHeader("Mcp-Session-Id", id)) }
            return try site.bed.ask(
                "POST", "/mcp", headers: head,
                body: #"{"jsonrpc":"2.0","id":1,"method":"\#(method)","params":\#(params)}"#, hasToken: false)
        }
        let begun = try session(crimson, nil, "initialize", #"{"protocolVersion":"2025-11-25","capabilities":{}}"#)
        let name = try #require(begun.header("Mcp-Session-Id"), "\(begun.text)")
        #expect(try session(crimson, name, "ping", "{}").status == 200)
        #expect(try session(azure, name, "ping", "{}").status == 404)
        // Secrets.
        let look = site.token("azure", "look", of: "eve")
        let secrets = try site.bed.ask(
            "GET", "/v1/namespaces/crimson/secrets", headers: [HTTPHeader("Authorization", "Bearer \(look)")],
            hasToken: false)
        #expect(secrets.status == 403)
    }

    @Test func whatOneTenantUsesUpAnotherStillHas() throws {
        let site = try Site()
        defer { site.end() }
        func isRefused(_ tenant: String) throws -> Bool {
            let token = site.token(tenant)
            let answer = try site.json("/mcp/shop", token, "tools/call", ["name": "price", "arguments": [:]])
            return answer["result"]?["_meta"]?["dev.apus/retryAfterMs"] != nil
        }
        let tools = site.bed.server.tools
        let (now, bounds) = (SystemClock().now, CallBounds(callsPerDay: 2))
        // As two calls of hers would be counted.
        tools.limits.withLock { limits in
            for _ in 0..<2 {
                #expect(limits.begin("crimson/shop#https://login.example#ada", bounds, now: now) == .admitted)
            }
        }
        #expect(try isRefused("crimson"))
        let azure = tools.limits.withLock { $0.begin("azure/shop#https://login.example#ada", bounds, now: now) }
        #expect(azure == .admitted)
    }
}

extension HTTPResponse {
    fileprivate var text: String { String(decoding: self.body, as: UTF8.self) }
}

import ApusCore
import ApusHTTP
import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// Tokens and logins from outside.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct AccessTests {
    private func topic(_ server: TestServer, _ name: String) throws -> String {
        try server.write(
            name, manifest: "apiVersion: apus.dev/v1\nkind: Topic\nmetadata: {name: \(name)}\nspec: {partitions: 1}\n")
    }

    private func token(_ server: TestServer, _ name: String, _ roles: String...) -> String {
        let words = ["token", "create", "--name", name] + roles.flatMap { ["--role", $0] }
        let made = server.apus(arguments: words)
        #expect(made.status == 0, "\(made.errors)")
        #expect(made.output.hasPrefix("apus_") && made.output.hasSuffix("\n"))
        return String(made.output.dropLast())
    }

    @Test func rolesHoldInTheirNamespaceFromTheCommandLineToo() throws {
        let server = try TestServer()
        try server.start()
        let folder = try self.topic(server, "orders")
        let roles = ["admin", "deployer", "producer", "caller", "approver", "reader"]
        var tokens: [String: String] = [:]
        for role in roles { tokens[role] = self.token(server, "\(role)-team", "\(role)@team") }
        tokens["none"] = "apus_nothing"
        #expect(server.apus("deploy", folder, "-n", "team").status == 0)
        #expect(server.apus("deploy", folder).status == 0)

        // What each may, in its own namespace; in another none of it.
        let asked: [(words: [String], may: Set<String>)] = [
            (["get", "topics"], ["admin", "deployer", "reader"]),
            (["deploy", folder], ["admin", "deployer"]),
            (["publish", "orders", "--data", "{}"], ["admin", "producer"]),
            (["consume", "orders"], ["admin", "deployer", "reader"]),
            (["token", "list"], ["admin"]),
        ]
        for (words, may) in asked {
            for (role, token) in tokens {
                let own = server.apus(arguments: words + ["-n", "team", "--token", token])
                #expect((own.status == 0) == may.contains(role), "\(role): \(words): \(own.errors)")
                let expected = role == "none" ? "[unauthenticated]" : "[forbidden]"
                if !may.contains(role) { #expect(own.errors.contains(expected), "\(role): \(own.errors)") }
                let other = server.apus(arguments: words + ["--token", token])
                #expect(other.status == 1 && other.errors.contains(expected), "\(role): \(words): \(other.errors)")
            }
        }
        let scraper = self.token(server, "prometheus", "reader@*")
        for (token, status) in [(scraper, 200), (tokens["admin"] ?? "", 403)] {
            let answer = try HTTPClient().request(
                "GET", "\(server.url)/metrics", headers: [HTTPHeader("Authorization", "Bearer \(token)")])
            #expect(answer.status == status)
        }
        let given = server.apus(
            "token", "create", "--name", "more", "--role", "reader@default", "-n", "team", "--token",
            tokens["admin"] ?? "")
        #expect(given.status == 1 && given.errors.contains("reader@default"), "\(given.errors)")
    }

    @Test func aTokenSurvivesARestartAndItsRevocationToo() throws {
        let server = try TestServer()
        try server.start()
        let kept = self.token(server, "kept", "reader")
        let ended = self.token(server, "ended", "reader")
        #expect(server.apus("token", "revoke", "ended").status == 0)
        server.kill9()
        try server.start()
        #expect(server.apus("get", "topics", "--token", kept).status == 0)
        let refused = server.apus("get", "topics", "--token", ended)
        #expect(refused.status == 1 && refused.errors.contains("revoked"), "\(refused.errors)")
        let list = server.apus("token", "list")
        #expect(list.output.contains("kept") && list.output.contains("revoked"))
        #expect(server.apus("token", "revoke", "nobody").status == 3)
    }

    @Test func theCommandThatFollowsEndsWithItsToken() throws {
        let server = try TestServer()
        try server.start()
        #expect(server.apus("deploy", try self.topic(server, "orders")).status == 0)
        let token = self.token(server, "watcher", "reader")
        var environment = currentEnvironment()
        environment["APUS_SERVER"] = server.url
        environment["APUS_TOKEN"] = token
        let follower = try ChildProcess(
            "\(server.tree)/bin/apus", ["consume", "orders", "--follow"], environment: environment, in: server.folder)
        #expect(server.apus("publish", "orders", "--data", #"{"n":1}"#).status == 0)
        _ = waitUntil(seconds: 20) {
            if follower.output.contains("\"n\":1") { return true }
            _ = server.apus("publish", "orders", "--data", #"{"n":1}"#)
            return false
        }
        #expect(follower.output.contains("\"n\":1") && follower.isRunning)
        #expect(server.apus("token", "revoke", "watcher").status == 0)
        #expect(follower.wait(seconds: 5) != nil, "its stream ended")
    }

    @Test func aBrowserLogsInOnceAndWritesFromOurPagesOnly() throws {
        let server = try TestServer()
        try server.start()
        let link = server.apus("console")
        #expect(link.status == 0 && link.output.hasPrefix("\(server.url)/login?code="), "\(link.errors)")
        let client = try HTTPClient()
        let address = String(link.output.dropLast())
        let page = try client.request("GET", address)
        let set = try #require(page.header("Set-Cookie"))
        #expect(page.status == 200 && set.contains("HttpOnly; SameSite=Strict; Path=/") && !set.contains("Secure"))
        #expect(
            try client.request("GET", address).header("Content-Type")?.hasPrefix("application/problem+json") == true)
        let again = try client.request("GET", address, headers: [HTTPHeader("Accept", "text/html,*/*;q=0.8")])
        #expect(
            again.status == 404 && again.text.contains("<code>apus console</code>") && again.header("Set-Cookie") == nil
        )
        let cookie = HTTPHeader("Cookie", String(set.prefix { $0 != ";" }))
        #expect(try client.request("GET", "\(server.url)/v1/topics", headers: [cookie]).status == 200)
        let delete = "\(server.url)/v1/topics/orders"
        #expect(try client.request("DELETE", delete, headers: [cookie]).status == 403)
        let own = HTTPHeader("Origin", server.url)
        #expect(try client.request("DELETE", delete, headers: [cookie, own]).status == 404)
        #expect(try client.request("POST", "\(server.url)/logout", headers: [cookie, own], body: []).status == 204)
        #expect(try client.request("GET", "\(server.url)/v1/topics", headers: [cookie]).status == 401)
    }

    @Test func refusedRequestsGetFewLinesInTheJournal() throws {
        let server = try TestServer()
        try server.start()
        let client = try HTTPClient()
        for _ in 0..<200 { #expect(try client.request("GET", "\(server.url)/v1/topics").status == 401) }
        let seen = server.log.split(separator: "\n").filter { $0.contains("unauthenticated") }
        #expect(!seen.isEmpty && seen.count < 100, "\(seen.count) lines")
        let metrics = try client.request(
            "GET", "\(server.url)/metrics",
            headers: [HTTPHeader("Authorization", "Bearer \(self.token(server, "prometheus", "reader@*"))")])
        #expect(String(decoding: metrics.body, as: UTF8.self).contains("apus_http_unauthenticated_total 200\n"))
    }
}

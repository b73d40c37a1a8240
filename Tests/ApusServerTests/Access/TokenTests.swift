import ApusCore
import ApusHTTP
import ApusJSON
import ApusStore
import Testing

@testable import ApusServer

@Suite(.timeLimit(.minutes(3))) struct TokenTests {
    private func json(_ response: HTTPResponse) throws -> JSONValue { try JSONValue.parse(response.body) }

    @Test func aTokenIsShownOnceAndWorksOnEveryShardAtOnce() throws {
        let bed = try TokenBed(shards: 3)
        let made = try bed.create(
            #"{"name":"ci","roles":["deployer","reader@team"],"expiresIn":"30d"}"#, with: bed.bed.token)
        let answer = try self.json(made)
        #expect(made.status == 201 && made.header("Cache-Control") == "no-store")
        #expect(answer["roles"] == ["deployer@default", "reader@team"] && answer["state"] == "active")
        let token = try #require(answer["token"]?.string)
        // Connections are spread over the shards by the kernel.
        for _ in 0..<30 {
            let fresh = try HTTPClient()
            let response = try fresh.request(
                "GET", "http://127.0.0.1:\(bed.bed.port)/v1/functions",
                headers: [HTTPHeader("Authorization", "Bearer \(token)")])
            #expect(response.status == 200)
        }
        let list = String(decoding: try bed.bed.ask("GET", "/v1/tokens").body, as: UTF8.self)
        #expect(list.contains(#""name":"ci""#) && list.contains(#""creator":"admin""#))
        #expect(!list.contains(token.suffix(49)) && !list.contains(TokenHash(of: token).hex))
        let who = try self.json(try bed.ask("GET", "/v1/principal", token: token))
        #expect(who["name"] == "ci" && who["roles"] == ["deployer@default", "reader@team"] && who["expires"] != nil)

        #expect(try bed.bed.ask("DELETE", "/v1/tokens/ci").status == 200)
        for _ in 0..<30 {
            let fresh = try HTTPClient()
            let response = try fresh.request(
                "GET", "http://127.0.0.1:\(bed.bed.port)/v1/functions",
                headers: [HTTPHeader("Authorization", "Bearer \(token)")])
            #expect(response.status == 401)
        }
        bed.bed.server.stop()
    }

    @Test func nobodyGivesAwayWhatItDoesNotHold() throws {
        let bed = try TokenBed()
        let admin = try bed.token("team-admin", ["admin@team", "reader@search"])
        #expect(try bed.create(#"{"name":"a","roles":["deployer"]}"#, in: "team", with: admin).status == 201)
        #expect(
            try bed.create(#"{"name":"b","roles":["admin","reader@search"]}"#, in: "team", with: admin).status == 201)
        for roles in [
            #"["reader@*"]"#, #"["reader@default"]"#, #"["deployer@search"]"#, #"["reader","caller@default"]"#,
        ] {
            let refused = try bed.create(#"{"name":"c","roles":\#(roles)}"#, in: "team", with: admin)
            #expect(refused.status == 403 && ServerBed.problem(refused) == "forbidden", "\(roles)")
        }
        // It administers its namespace only: neither lists nor ends tokens of another.
        #expect(try bed.create(#"{"name":"c","roles":["reader@team"]}"#, in: "default", with: admin).status == 403)
        #expect(try bed.ask("GET", "/v1/tokens", token: admin).status == 403)
        #expect(try bed.ask("DELETE", "/v1/tokens/team-admin", token: admin).status == 403)
        let list = try self.json(try bed.ask("GET", "/v1/namespaces/team/tokens", token: admin))
        #expect(list["items"]?.array?.compactMap { $0["name"]?.string } == ["a", "b"])
        #expect(list["items"]?[0]?["creator"] == "team-admin")
        bed.bed.server.stop()
    }

    @Test func aTokenDoesNotOutliveItsMaker() throws {
        let bed = try TokenBed()
        let admin = try bed.token("short", ["admin@*"], expires: bed.now + .seconds(3_600))
        let inherited = try self.json(try bed.create(#"{"name":"a","roles":["reader"]}"#, with: admin))
        #expect(inherited["expires"] != nil)
        #expect(try bed.create(#"{"name":"b","roles":["reader"],"expiresIn":"30m"}"#, with: admin).status == 201)
        #expect(try bed.create(#"{"name":"c","roles":["reader"],"expiresIn":"2h"}"#, with: admin).status == 403)
        bed.bed.server.stop()
    }

    @Test(arguments: [
        "", "[]", "{}", #"{"name":"x"}"#, #"{"name":"X.Y","roles":["reader"]}"#, #"{"name":"x","roles":[]}"#,
        #"{"name":"x","roles":["root"]}"#, #"{"name":"x","roles":[1]}"#, #"{"name":"x","roles":["reader@"]}"#,
        #"{"name":"x","roles":["reader"],"expiresIn":"soon"}"#, #"{"name":"x","roles":["reader"],"expiresIn":"0s"}"#,
        #"{"name":"x","roles":["reader"],"expiresIn":"4000d"}"#, #"{"name":"x","roles":["reader"],"expires":"1d"}"#,
        #"{"name":"x","roles":["reader"],"expiresIn":9}"#,
    ])
    func anOrderThatCannotBeReadIsRefused(body: String) throws {
        let error = #expect(throws: ApusError.self) {
            try TokenOrder(parsing: Array(body.utf8), namespace: .default)
        }
        #expect(error?.code == .invalidArgument || error?.code == .invalidJSON)
    }

    @Test func aRevokedTokensStreamsEndAndOthersGoOn() throws {
        let bed = try TokenBed(shards: 2)
        _ = try bed.bed.makeTopic("orders")
        _ = try bed.bed.makeFunction("price")
        let token = try bed.token("watcher", ["reader@default"])
        func streams(_ token: String) -> [ServerBed.Stream] {
            ["/v1/topics/orders/events", "/v1/functions/price/logs"].map {
                bed.bed.stream($0, token: token)
            }
        }
        let watching = streams(token)
        let others = streams(bed.bed.token)
        try ServerBed.until("all heads") { (watching + others).allSatisfy { !$0.read.isEmpty } }
        #expect(try bed.bed.ask("DELETE", "/v1/tokens/watcher").status == 200)
        try ServerBed.until("their ends", seconds: 5) { watching.allSatisfy { $0.end != nil } }
        for stream in watching {
            #expect(try stream.end?.get().status == 200)
            #expect(stream.read.contains("event: error") && stream.read.contains("unauthenticated"), "\(stream.read)")
        }
        #expect(others.allSatisfy { $0.end == nil })
        bed.bed.server.stop()
    }

    @Test func tokensAreThereAfterARestart() throws {
        var queue = ControlQueue()
        let name = try #require(ResourceName(.default, "ci"))
        let principal = PrincipalDeployment(
            id: "i", hash: TokenHash(of: "t"), roles: RoleGrants([RoleGrant(.caller, .namespace(.default))]),
            created: .zero, creator: "admin")
        let record = ControlRecord(
            kind: .principal, namespace: .default, name: "ci", generation: 1, time: .zero,
            content: .principal(principal))
        _ = try queue.follow(try ControlRecord(record.event))
        let directory = PrincipalDirectory(admin: TokenHash(of: "a"), queue.catalogue.principals)
        #expect(
            directory.find(TokenHash(of: "t"), now: .zero)
                == .holds(
                    Principal(name: name.description, roles: principal.roles)))
        #expect(directory.find(TokenHash(of: "a"), now: .zero) == .holds(.administrator))
        #expect(directory.find(TokenHash(of: "x"), now: .zero) == .unknown)
    }
}

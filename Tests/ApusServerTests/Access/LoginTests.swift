import ApusCore
import ApusHTTP
import ApusJSON
import Testing

@testable import ApusServer

@Suite(.timeLimit(.minutes(3))) struct LoginTests {
    private func link(_ bed: TokenBed, _ token: String) throws -> String {
        let made = try bed.ask("POST", "/v1/logins", token: token, body: "")
        #expect(made.status == 201)
        return try #require(try JSONValue.parse(made.body)["path"]?.string)
    }

    private func cookie(_ bed: TokenBed, _ path: String) throws -> HTTPHeader {
        let answer = try bed.ask("GET", path, token: nil)
        #expect(answer.status == 200)
        let set = try #require(answer.header("Set-Cookie"))
        #expect(set.hasSuffix("; HttpOnly; SameSite=Strict; Path=/"), "\(set)")
        return HTTPHeader("Cookie", "theme=dark; " + String(set.prefix { $0 != ";" }))
    }

    @Test func aLinkLogsOneBrowserInAsWhoMadeIt() throws {
        let bed = try TokenBed(shards: 2)
        let token = try bed.token("viewer", ["reader@default"])
        let path = try self.link(bed, token)
        let cookie = try self.cookie(bed, path)
        let again = try bed.ask("GET", path, token: nil)
        #expect(again.status == 404 && again.header("Set-Cookie") == nil)
        #expect(try bed.ask("GET", "/login", token: nil).status == 400)

        #expect(try bed.ask("GET", "/v1/functions", token: nil, headers: [cookie]).status == 200)
        #expect(try bed.ask("GET", "/v1/namespaces/team/functions", token: nil, headers: [cookie]).status == 403)
        #expect(try bed.ask("DELETE", "/v1/tokens/viewer", token: bed.bed.token).status == 200)
        #expect(try bed.ask("GET", "/v1/functions", token: nil, headers: [cookie]).status == 401)
        bed.bed.server.stop()
    }

    @Test func whatABrowserWritesComesFromAPageOfOurs() throws {
        let bed = try TokenBed()
        let cookie = try self.cookie(bed, try self.link(bed, bed.bed.token))
        func delete(_ origin: String?) throws -> Int {
            let headers = [cookie] + (origin.map { [HTTPHeader("Origin", $0)] } ?? [])
            return try bed.ask("DELETE", "/v1/functions/nothing", token: nil, headers: headers).status
        }
        #expect(try delete(nil) == 403)
        #expect(try delete("http://evil.example") == 403)
        #expect(try delete("http://127.0.0.1:1") == 403)
        #expect(try delete("null") == 403)
        #expect(try delete("http://127.0.0.1:\(bed.bed.port)") == 404)
        // With a token there is no cookie to be abused.
        #expect(try bed.ask("DELETE", "/v1/functions/nothing", token: bed.bed.token).status == 404)
        bed.bed.server.stop()
    }

    @Test func loggingOutEndsTheSession() throws {
        let bed = try TokenBed()
        let cookie = try self.cookie(bed, try self.link(bed, bed.bed.token))
        let own = HTTPHeader("Origin", "http://127.0.0.1:\(bed.bed.port)")
        // A session cannot make itself longer.
        #expect(try bed.ask("POST", "/v1/logins", token: nil, headers: [cookie, own], body: "").status == 403)
        let out = try bed.ask("POST", "/logout", token: nil, headers: [cookie, own], body: "")
        #expect(out.status == 204 && out.header("Set-Cookie")?.contains("Max-Age=0") == true)
        #expect(try bed.ask("GET", "/v1/functions", token: nil, headers: [cookie]).status == 401)
        bed.bed.server.stop()
    }
}

import ApusHTTP
import ApusJSON
import Testing

@testable import ApusServer

/// Pausing and rolling back over HTTP, in process.
@Suite(.timeLimit(.minutes(2))) struct OperateRouteTests {
    private func deploy(_ bed: ServerBed, _ triggers: String) throws {
        let manifest =
            #"{"apiVersion":"apus.dev/v1","kind":"Function","metadata":{"name":"f"},"#
            + #""spec":{"runtime":"python3","handler":"main:handle","source":".","triggers":[\#(triggers)]}}"#
        let answer = try bed.ask(
            "PUT", "/v1/functions/f", headers: [HTTPHeader("Apus-Bundle", try bed.makeBundle())], body: manifest)
        try #require(answer.status == 200, "\(String(decoding: answer.body, as: UTF8.self))")
    }

    @Test func whatIsPausedIsRefusedToCallersAndShown() throws {
        let bed = try ServerBed(shards: 2)
        try self.deploy(bed, #"{"http":{"path":"/hello","methods":["GET"]}},{"schedule":"@daily"}"#)
        let paused = try bed.ask("POST", "/v1/functions/f/pause", body: #"{"trigger":"http"}"#)
        let outcome = try JSONValue.parse(paused.body)
        #expect(paused.status == 200 && outcome["action"]?.string == "paused" && outcome["name"]?.string == "f/http")
        let refused = try bed.ask("GET", "/fn/hello")
        #expect(refused.status == 409 && ServerBed.problem(refused) == "function_paused")
        #expect(try bed.ask("POST", "/v1/functions/f/pause").status == 200)
        let invoked = try bed.ask("POST", "/v1/functions/f/invoke", body: "{}")
        #expect(invoked.status == 409 && ServerBed.problem(invoked) == "function_paused")
        let warmed = try bed.ask("POST", "/v1/functions/f/warm")
        #expect(warmed.status == 409 && ServerBed.problem(warmed) == "function_paused")
        let shown = try JSONValue.parse(try bed.ask("GET", "/v1/functions/f").body)
        #expect(shown["paused"] == true && shown["pausedTriggers"]?.array?.count == 2)
        #expect(shown["pauses"]?.array?.map { $0["by"]?.string } == ["admin", "admin"])
        let schedules = try JSONValue.parse(try bed.ask("GET", "/v1/schedules").body)["items"]?.array ?? []
        #expect(schedules.count == 1 && schedules[0]["paused"] == true && schedules[0]["next"] == .null)
        for body in [#"{"trigger":"http"}"#, ""] {
            #expect(try bed.ask("POST", "/v1/functions/f/resume", body: body).status == 200)
        }
        let after = try JSONValue.parse(try bed.ask("GET", "/v1/functions/f").body)
        #expect(after["paused"] == false && after["pausedTriggers"]?.array?.isEmpty == true)
        bed.server.stop()
    }

    @Test(arguments: [
        ("pause", #"{"triger":"x"}"#, 400), ("pause", "[]", 400), ("pause", "{", 400),
        ("pause", #"{"trigger":1}"#, 400),
        ("pause", #"{"trigger":"x"}"#, 404), ("rollback", #"{"revision":"ff"}"#, 404), ("rollback", "", 404),
        ("rollback", #"{"revision":""}"#, 404),
    ])
    func whatCannotBeDoneIsRefused(verb: String, body: String, status: UInt32) throws {
        let bed = try ServerBed()
        try self.deploy(bed, "")
        let answer = try bed.ask("POST", "/v1/functions/f/\(verb)", body: body)
        #expect(Int(answer.status) == Int(status), "\(String(decoding: answer.body, as: UTF8.self))")
        for verb in ["pause", "resume", "rollback", "warm"] {
            #expect(try bed.ask("POST", "/v1/functions/nobody/\(verb)").status == 404)
        }
        bed.server.stop()
    }

    @Test func aZoneThatIsNoneIsRefusedAtTheDeployAndByADryRun() throws {
        let bed = try ServerBed()
        let manifest =
            #"{"apiVersion":"apus.dev/v1","kind":"Function","metadata":{"name":"f"},"spec":{"runtime":"python3","#
            + #""handler":"main:handle","triggers":[{"schedule":{"cron":"@daily","zone":"Nowhere/City"}}]}}"#
        for isDryRun in [true, false] {
            let bundle = try bed.makeBundle()
            let answer = try bed.ask(
                "POST", "/v1/deployments",
                body: #"{"documents":[{"manifest":\#(manifest),"bundle":"\#(bundle)"}],"dryRun":\#(isDryRun)}"#)
            let text = String(decoding: answer.body, as: UTF8.self)
            #expect(
                text.contains("manifest_invalid") && text.contains("there is no time zone 'Nowhere/City'"), "\(text)")
        }
        bed.server.stop()
    }

    @Test func metricsCountSchedules() throws {
        let bed = try ServerBed()
        try self.deploy(bed, #"{"schedule":"@yearly"}"#)
        let text = String(decoding: try bed.ask("GET", "/metrics").body, as: UTF8.self)
        for line in [
            "apus_schedules 1", "apus_schedule_fired_total 0", "apus_schedule_skipped_total 0",
            "apus_schedule_refused_total 0",
        ] {
            #expect(text.contains(line + "\n"), "\(line)")
        }
        bed.server.stop()
    }
}

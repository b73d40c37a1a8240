import ApusCore
import ApusHTTP
import Testing

@testable import ApusServer

@Suite struct InvocationPreferencesTests {
    private func read(_ headers: [(String, String)]) throws(ApusError) -> InvocationPreferences {
        try InvocationPreferences(headers.map { HTTPHeader($0.0, $0.1) })
    }

    @Test func withoutHeadersTheFunctionsTimeoutHolds() throws {
        let preferences = try self.read([("Accept", "*/*")])
        #expect(!preferences.respondsAsync && preferences.wait == nil)
        let slack = TimeSpan.seconds(Limits.Server.invocationSlackSeconds)
        let now = Timestamp(milliseconds: 5)
        #expect(preferences.deadline(now: now, timeout: .seconds(2)) == now + .seconds(2) + slack)
    }

    @Test(
        arguments: [
            ([("Prefer", "respond-async")], true, nil), ([("prefer", "Respond-Async, wait=10")], true, .seconds(10)),
            ([("Prefer", "wait=\"3\"; x=y, respond-async")], true, .seconds(3)),
            ([("Prefer", "wait=2"), ("Prefer", "return=minimal")], false, .seconds(2)),
            ([("Prefer", "wait=soon, wait, wait=-1, , =")], false, nil),
            ([("Apus-Timeout", "500ms")], false, .milliseconds(500)),
            ([("apus-timeout", "5s"), ("Prefer", "wait=3")], false, .seconds(3)),
            ([("Apus-Timeout", "1s"), ("Prefer", "wait=3")], false, .seconds(1)),
        ] as [([(String, String)], Bool, TimeSpan?)])
    func theShorterWaitCounts(headers: [(String, String)], isAsync: Bool, wait: TimeSpan?) throws {
        let preferences = try self.read(headers)
        #expect(preferences.respondsAsync == isAsync && preferences.wait == wait)
    }

    @Test func aCallerCanShortenTheTimeAndNotLengthenIt() throws {
        let now = Timestamp.zero
        let own = try self.read([]).deadline(now: now, timeout: .seconds(2))
        #expect(try self.read([("Apus-Timeout", "1d")]).deadline(now: now, timeout: .seconds(2)) == own)
        #expect(try self.read([("Apus-Timeout", "1s")]).deadline(now: now, timeout: .seconds(2)) == now + .seconds(1))
    }

    @Test(arguments: ["", "5", "0s", "-1s", "1.5s", "9999999999999999999s"]) func aTimeoutThatIsNoneIsRefused(
        text: String
    ) {
        expectRefusal(.invalidArgument) { () throws(ApusError) in try self.read([("Apus-Timeout", text)]) }
    }
}

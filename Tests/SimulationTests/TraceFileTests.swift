import ApusCore
import ApusFleet
import Testing

/// Traces of others: two forms of CSV.
@Suite struct TraceFileTests {
    @Test func columnsAreFoundByTheirNames() throws {
        let file = try TraceFile(parsing: "note,seconds,function,AT\nx,2,embed,10\ny,0.5,chat,12.25\nz,1,embed,13\n")
        #expect(file.functions == ["embed", "chat"])
        #expect(file.arrivals.map(\.function) == [0, 1, 0])
        #expect(file.arrivals.map(\.service) == [.seconds(2), .milliseconds(500), .seconds(1)])
    }

    @Test func momentsCountFromTheFirst() throws {
        let file = try TraceFile(parsing: "at,function,seconds\n10,chat,0.5\n12.25,embed,2\n12,chat,1\n")
        #expect(
            file.arrivals == [
                Arrival(at: .zero, function: 0, service: .milliseconds(500)),
                Arrival(at: Timestamp(milliseconds: 2_000), function: 0, service: .seconds(1)),
                Arrival(at: Timestamp(milliseconds: 2_250), function: 1, service: .seconds(2)),
            ])
    }

    /// As the Azure LLM inference traces of 2023 are: all of one model, whose runs take as long as their tokens.
    @Test func tokensBecomeTime() throws {
        let text = """
            TIMESTAMP,ContextTokens,GeneratedTokens
            2023-11-16 18:59:59.9000000,1000,10
            2023-11-16 19:00:00.4000000,0,100
            """
        var times = TraceFile.TokenTimes()
        times.start = .milliseconds(50)
        times.perContextToken = .microseconds(100)
        times.perGeneratedToken = .milliseconds(20)
        let file = try TraceFile(parsing: text, tokens: times)
        #expect(file.functions == ["model"])
        #expect(file.arrivals.map(\.service) == [.milliseconds(350), .milliseconds(2_050)])
        #expect(file.arrivals[0].at == .zero && file.arrivals[1].at == Timestamp(milliseconds: 500))
    }

    @Test(arguments: [
        ("", "no arrivals"), ("at,function,seconds\n", "no arrivals"), ("when,who\n1,a\n", "names no known columns"),
        ("at,function,seconds\n1,a\n", "line 2"), ("at,function,seconds\n1,a,1\nsoon,a,1\n", "line 3"),
        ("at,function,seconds\n1,a,-1\n", "line 2"), ("at,function,seconds\n1,a,nan\n", "line 2"),
        ("at,function,seconds\n5,a,1\n4,a,1\n", "earlier"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\nyesterday,1,1\n", "line 2"),
    ])
    func whatCannotBeReadIsNamedByItsLine(_ text: String, _ told: String) {
        let error = #expect(throws: ApusError.self) { try TraceFile(parsing: text) }
        #expect(error?.message.contains(told) ?? false, "\(error?.message ?? "")")
    }
}

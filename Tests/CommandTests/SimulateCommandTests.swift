import ApusJSON
import Testing

@testable import apus

@Suite struct SimulateCommandTests {
    let fixture = CommandFixture()

    @Test func aComparisonIsPrintedWithItsBounds() throws {
        let lines = (0..<400).map { "\($0 * 400),\($0 % 3 == 0 ? "chat" : "embed"),2.5" }
        let path = self.fixture.write("trace.csv", "at,function,seconds\n" + lines.joined(separator: "\n") + "\n")
        let plot = "\(self.fixture.folder)/out.svg"
        #expect(
            self.fixture.run(
                "simulate", "--trace", path, "--devices", "1", "--policy", "rent-or-buy", "--prices", "waiting=0.01",
                "--plot", plot, "--output", "json") == 0, "\(self.fixture.terminal.errors)")
        let report = try JSONValue.parse(self.fixture.terminal.text)
        #expect(report["simulated"]?.boolean == true && report["functions"]?.integer == 2)
        let policies = report["policies"]?.array ?? []
        #expect(policies.map { $0["policy"]?.string } == ["FixedTTL 10m", "RentOrBuy", "Oracle"])
        for policy in policies {
            let shares = ["cold", "wake", "warm"].compactMap { policy[$0]?["value"]?.double }
            #expect(abs(shares.reduce(0, +) - 1) < 1e-9)
        }
        let svg = String(decoding: try DataArgument.readFile(plot, limit: 1 << 20), as: UTF8.self)
        #expect(svg.hasPrefix("<svg") && svg.contains("RentOrBuy") && svg.contains("simulated"))
    }

    @Test func theTableSaysThatItIsSimulated() {
        #expect(
            self.fixture.run(
                "simulate", "--days", "1", "--models", "4", "--generate", "bursts", "--policy", "fixed-5m", "--devices",
                "2")
                == 0)
        let text = self.fixture.terminal.text
        #expect(text.hasPrefix("simulated: ") && text.contains("FixedTTL 5m") && text.contains("Oracle"))
    }

    @Test(arguments: [
        ("at,function,seconds\n0,a,1\nx,a,1\n", "line 3"), ("at,function,seconds\n0,a,1\n\n5\n", "line 4"),
        ("when,who\n", "first line"), ("at,function,seconds\n", "no arrivals"),
    ])
    func aTraceThatCannotBeReadSaysWhere(_ text: String, _ part: String) throws {
        let path = self.fixture.write("bad.csv", text)
        #expect(self.fixture.run("simulate", "--trace", path) == 1)
        #expect(self.fixture.terminal.errors.contains(path) && self.fixture.terminal.errors.contains(part))
    }

    @Test(arguments: [
        ["--devices", "1001"], ["--days", "0"], ["--policy", "best"], ["--prices", "gold=1"], ["--device-memory", "8"],
        ["--model-memory", "200Gi"], ["--trace", "x.csv", "--days", "3"], ["--rate", "100000"], ["--wake", "soon"],
        ["--replay", "pool.record", "--days", "3"],
    ])
    func whatCannotBeSimulatedIsAUsageError(_ arguments: [String]) {
        #expect(self.fixture.run(["simulate"] + arguments) == 2, "\(arguments)")
    }

    @Test func aRecordingIsDecidedAgain() throws {
        let text = "pool 1 1024 1.0 0.02 68.0\n5 device 100 0\n1000005 tick\nend\n"
        #expect(self.fixture.run("simulate", "--replay", self.fixture.write("pool.record", text)) == 0)
        #expect(self.fixture.terminal.text == "2 inputs over 1 s: 0 decisions and 0 transitions, all as they were.\n")
        let other = self.fixture.write("other.record", text.replacing("1000005 tick", with: "9 tick\n> load 7"))
        #expect(self.fixture.run("simulate", "--replay", other) == 1)
        #expect(self.fixture.terminal.errors.contains("line 4: recorded '> load 7', now nothing"))
        let none = self.fixture.write("none", "at,function,seconds\n")
        #expect(self.fixture.run("simulate", "--replay", none) == 1)
        #expect(self.fixture.terminal.errors.contains("line 1"))
    }
}

import ApusCore
import ApusSandbox
import Glibc
import Testing

extension SandboxTests {
    @Suite("Attacks from inside a sandbox")
    struct AttackTests {
        @Test(
            "Each attempt fails in every profile, changes nothing on the host and disturbs no neighbour",
            arguments: AttackProfile.allCases)
        func refuses(_ profile: AttackProfile) async throws {
            try await withLaboratory { laboratory in
                let attacks = AttackTable.all.filter { $0.bounds == nil && $0.profiles.contains(profile) }
                #expect(attacks.count > 100)
                try await AttackBench(laboratory: laboratory).check(attacks, on: profile)
            }
        }

        @Test(
            "Each attempt on what there is little of meets its bound in every profile",
            arguments: AttackProfile.allCases)
        func bounds(_ profile: AttackProfile) async throws {
            try await withLaboratory { laboratory in
                for attack in AttackTable.all where attack.profiles.contains(profile) {
                    guard let bounds = attack.bounds else { continue }
                    try await AttackBench(laboratory: laboratory).check([attack], on: profile, bounds: bounds)
                }
            }
        }

        @Test("Each attempt works, or reaches the kernel, without a sandbox")
        func controls() async throws {
            try await withLaboratory { _ in
                try AttackBench.control(AttackTable.all)
                // What control runs left behind.
                TestFiles.remove(AttackTable.host)
                TestFiles.makeFolder(AttackTable.host)
            }
        }

        @Test("Every attack of the list is attempted, here or elsewhere, or left out for a reason")
        func everyNumberIsAccountedFor() {
            let attempted = Set(AttackTable.all.map(\.number)).union(AttackTable.elsewhere.flatMap(\.numbers))
            for number in AttackTable.numbers {
                #expect(attempted.contains(number) || AttackTable.omitted[number]?.isEmpty == false, "\(number)")
            }
            for attack in AttackTable.all where !attack.number.hasPrefix("X") {
                #expect(AttackTable.numbers.contains(attack.number), "\(attack.number) is on no list")
            }
        }

        @Test("The tests that the table names exist")
        func namedTestsExist() {
            let names = TestNames.all()
            for (numbers, test) in AttackTable.elsewhere { #expect(names.contains(test), "\(numbers): \(test)") }
        }

        @Test("An attempt that worked, one that the filter let through and one that never ran are noticed")
        func noticesSuccess() {
            let seen = Seen.parse("0 exit 0 ok\n1 exit 0 errno 14 EFAULT\n2 signal 9 \nend\n")
            #expect(!Attack.Outcome.refused("EPERM").holds(seen[0]) && !Attack.Outcome.killed.holds(seen[0]))
            #expect(
                !Attack.Outcome.refused("EPERM").holds(seen[1]) && Attack.Outcome.reaches(past: "EPERM").holds(seen[1]))
            #expect(!Attack.Outcome.killed.holds(seen[2]) && Attack.Outcome.dies(by: SIGKILL).holds(seen[2]))
            #expect(!Attack.Outcome.prints("0").holds(seen[3]) && !Attack.Outcome.killed.holds(seen[3]))
        }
    }
}

import ApusCore
import CShims
import Glibc
import Testing

@testable import ApusSandbox

@Suite("Denials in words")
struct DenialTests {
    @Test(
        "Arguments that matter are in the kernel's words, or numbers",
        arguments: [
            ("socket", [16, 3], "AF_NETLINK, SOCK_RAW"), ("socket", [2, 0x80801], "AF_INET, SOCK_STREAM"),
            ("socket", [46, 9], "46, 9"), ("ptrace", [16, 7], "PTRACE_ATTACH, 7"),
            ("unshare", [0x1002_0000], "CLONE_NEWUSER|CLONE_NEWNS"), ("unshare", [0], "0"),
            ("setuid", [0], "0"), ("setresuid", [0xffff_ffff, 1_000_000], "-1, 1000000"), ("prctl", [35], "PR_SET_MM"),
            ("ioctl", [0x5412], "TIOCSTI"), ("ioctl", [0xabcd_0001], "0xabcd0001"), ("execve", [], ""),
        ] as [(String, [UInt32], String)])
    func words(_ call: String, _ values: [UInt32], _ text: String) {
        #expect(DeniedArguments.text(of: call, values) == text)
    }

    @Test("A later report says what came since")
    func since() {
        let first = DenialReport([Denial("a", count: 2)], others: 1)
        let second = DenialReport([Denial("a", count: 5), Denial("b", "1")], others: 1, isSpent: true)
        #expect(second.since(first) == DenialReport([Denial("a", count: 3), Denial("b", "1")], isSpent: true))
        #expect(second.since(second) == DenialReport())
        // One that has less, as after a slot has changed hands, is no reason to count backwards.
        #expect(first.since(second) == DenialReport())
    }

    @Test("What is alike is added up, and a head names so many and no more")
    func text() {
        var all = [Denial("a", "1"), Denial("b", count: 2)]
        all.add([Denial("a", "1", count: 4), Denial("a", "2"), Denial("c")])
        #expect(all.text(max: 8) == "a(1) x5, b x2, a(2) x1, c x1")
        #expect(all.text(max: 2) == "a(1) x5, b x2, and 2 more")
    }

    /// Memory with these bytes, which nobody can change.
    private static func memory(_ bytes: [UInt8]) -> CInt {
        bytes.withUnsafeBytes { apus_channel_sealed_memory($0.baseAddress, $0.count) }
    }

    private static func head(calls: UInt32, slots: UInt32) -> [UInt8] {
        var head = [UInt8](repeating: 0, count: MemoryLayout<nursery_audit>.size)
        head.withUnsafeMutableBytes {
            $0.copyBytes(from: [calls, slots, 1, 1].flatMap { value in withUnsafeBytes(of: value) { Array($0) } })
        }
        return head
    }

    @Test("Memory that is not the audit's is not taken")
    func refusesOtherMemory() {
        #expect(DenialAudit(open("/dev/null", O_RDONLY | O_CLOEXEC)) == nil)
        // Its numbers say that there is more of it than there is.
        #expect(DenialAudit(Self.memory(Self.head(calls: 0, slots: 1_000))) == nil)
        #expect(DenialAudit(Self.memory(Self.head(calls: 1_000, slots: 0))) == nil)
    }

    @Test("Numbers beyond their bounds, which only a broken auditor writes, are held to them")
    func boundsWhatIsRead() throws {
        var entry = nursery_audit_entry()
        entry.ticket = 7
        entry.total = .max
        entry.record_count = .max
        withUnsafeMutableBytes(of: &entry.records) { for index in $0.indices { $0[index] = 0xff } }
        let bytes = Self.head(calls: 1, slots: 1) + withUnsafeBytes(of: entry) { Array($0) }
        let audit = try #require(DenialAudit(Self.memory(bytes)))
        #expect(audit.isRunning && audit.starts == 1 && audit.source(slot: 1, ticket: 7) == nil)
        let source = try #require(audit.source(slot: 0, ticket: 7))
        #expect(source.total() == .max)
        let report = source.report()
        #expect(report.denials.count == Int(NURSERY_AUDIT_RECORDS_MAX))
        #expect(report.denials.allSatisfy { $0.call == "unknown" && $0.count == .max })
        #expect(audit.source(slot: 0, ticket: 8)?.report() == DenialReport(), "another worker's")
    }
}

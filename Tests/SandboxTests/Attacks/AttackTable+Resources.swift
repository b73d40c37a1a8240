import ApusCore
import ApusSandbox
import Glibc

extension AttackTable {
    private static let few = SandboxBounds(memoryBytes: 256 << 20, processes: 16, scratchBytes: 8 << 20)
    private static let small = SandboxBounds(memoryBytes: 96 << 20, processes: 64, scratchBytes: 8 << 20)

    private static let oneUser = "one bound of processes for all workers together: they have one uid"

    static let resources: [Attack] =
        [
            Attack(
                "A1", "bombs with forks", ["fork-bomb", "200"], expect: .atMost(15), control: .same(.prints("200")),
                bounds: few
            ).losing(.ownUser, ["fork-bomb", "1500"], expect: .atMost(1_024), because: Self.oneUser),
            Attack(
                "A2", "bombs with threads", ["thread-bomb", "200"], expect: .atMost(15), control: .same(.prints("200")),
                bounds: few
            ).losing(.ownUser, ["thread-bomb", "1500"], expect: .atMost(1_024), because: Self.oneUser),
            Attack(
                "A3", "takes memory without end", ["memory-bomb", "268435456"], expect: .outOfMemory, bounds: small
            ).losing(
                .memory, expect: .refused("ENOMEM"),
                because: "RLIMIT_DATA refuses memory and ends nothing; it holds per process"),
            Attack(
                "A5", "takes memory by memory files", ["memory-file-bomb", "268435456"], expect: .outOfMemory,
                bounds: small
            ).losing(.memory, expect: .works, because: "no limit of processes counts memory files"),
            Attack(
                "A4", "fills its scratch", ["fill", "/tmp", "33554432"], expect: .atMost(8_192),
                control: .run(["fill", host, "33554432"], .atLeast(32_768))),
            Attack(
                "A6", "floods its scratch with files", ["flood", "/tmp", "5000"], expect: .atMost(2_200),
                control: .run(["flood", host, "5000"], .prints("5000"))),
            Attack(
                "A7", "makes a huge sparse file", ["big-file", "/tmp/big", "10000000000"], expect: .refused("EFBIG"),
                control: .run(["big-file", "\(host)/big", "10000000000"], .works)),
            Attack(
                "A8", "opens descriptors without end", ["descriptor-bomb"], expect: .atMost(64),
                control: .same(.atLeast(500))),
            Attack(
                "A8", "watches what others open", ["watch", "/usr/bin"], expect: .refused("ENOSYS")),
            Attack(
                "A10", "floods timers", ["timers", "2000"], expect: .atMost(1_024), control: .same(.prints("2000"))),
            Attack(
                "A10", "floods queued signals", ["signals", "2000"], expect: .atMost(1_024),
                control: .same(.prints("2000"))),
            Attack("A11", "locks all of its memory", ["call", "mlockall", "1"], expect: .refused("ENOSYS")),
            Attack("A11", "locks much memory", ["lock-memory", "16777216"], expect: .refused("ENOMEM EPERM EAGAIN")),
            Attack("A18", "reserves address space, which is free", ["reserve", "100000000000"], expect: .works),
            Attack("D60", "crashes", ["crash"], expect: .dies(by: SIGSEGV), control: .same(.dies(by: SIGSEGV))),
            Attack(
                "D60", "may not dump its memory", ["core-limit"], expect: .prints("1"),
                control: .none(
                    "what the host allows differs: that 1 is the one value that starts no handler is the kernel's")),
            Attack(
                "D60", "lowers the limit of dumps to where the host's handler starts", ["lower-core"],
                expect: .refused("ENOSYS")),
            Attack("A7", "raises a limit", ["raise-limit"], expect: .refused("EPERM")),
        ]
        + ["open", "pipe", "socketpair", "epoll", "timerfd", "eventfd", "signalfd", "memfd"].map { kind in
            Attack(
                "A8", "makes \(kind) descriptors without end", ["exhaust", kind, "400"], expect: .atMost(64),
                control: .same(.prints("400")))
        }
}

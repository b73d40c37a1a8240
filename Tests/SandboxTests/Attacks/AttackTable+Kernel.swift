import ApusCore
import ApusSandbox
import Glibc

extension AttackTable {
    static let kernel: [Attack] =
        [
            Attack("E64", "leaves its namespaces", ["unshare"], expect: .refused("EPERM")),
            Attack("E64", "makes a namespace with clone3", ["clone3"], expect: .refused("ENOSYS")),
            Attack("E65", "enters a namespace", ["setns"], expect: .killed),
            Attack(
                "E66", "mounts", ["mount", "/tmp"], expect: .killed, control: .run(["mount", host], .works)),
            Attack("E67", "makes an io_uring", ["io-uring"], expect: .refused("ENOSYS")),
            Attack("E68", "makes a BPF map", ["bpf"], expect: .killed),
            Attack("E70", "makes a userfaultfd", ["userfaultfd"], expect: .refused("EPERM")),
            Attack("E71", "uses keyrings", ["keyctl"], expect: .refused("EPERM")),
            Attack("E73", "changes its personality", ["personality"], expect: .refused("EPERM")),
            Attack(
                "E73", "makes all it reads executable", ["call", "personality", "0x0400000"], expect: .refused("EPERM")),
            Attack("E75", "calls as i386", ["int80"], expect: .killed),
            Attack("E75", "calls as x32", ["x32"], expect: .killed, control: .same(.asked)),
            Attack("E77", "makes itself dumpable", ["dumpable"], expect: .refused("ENOSYS")),
            Attack(
                "E77", "tries every option of prctl, with rubbish in the half that the kernel ignores", ["prctl-sweep"],
                expect: .prints("0"), control: .same(.atLeast(5))),
            Attack("E78", "becomes root", ["setuid"], expect: .refused("EPERM")),
            Attack("E78", "drops its groups", ["setgroups"], expect: .refused("EPERM")),
            Attack("E78", "changes its root", ["chroot"], expect: .refused("EPERM")),
            Attack(
                "E80", "types into a terminal", ["tiocsti"], expect: .refused("EPERM"),
                control: .same(.reaches(past: "EPERM"))),
            Attack(
                "E80", "types into a terminal, with rubbish in the half that the kernel ignores",
                ["call", "ioctl", "1", "0x100005412"], expect: .refused("EPERM"),
                control: .same(.reaches(past: "EPERM"))),
            Attack(
                "E80", "tries requests of every kind on all it has", ["ioctl-sweep"], expect: .prints("0"),
                // Requests without a type are those of a driver of devices, and of files one: their block size.
                except: [.gpu: .atMost(16)],
                control: .run(["ioctl-sweep", "0x5452", "0x5452"], .prints("1"))),
            Attack("E81", "measures others", ["perf"], expect: .refused("EPERM")),
            Attack("E83", "makes shared memory that stays", ["shmget"], expect: .refused("EPERM")),
            Attack("E83", "makes a message queue that stays", ["queue"], expect: .refused("EPERM")),
            Attack("E82", "renames the machine", ["sethostname"], expect: .refused("EPERM")),
            Attack("X10", "splices the page cache", ["splice"], expect: .refused("ENOSYS")),
            Attack(
                "X10", "gets pages of the page cache into a pipe by sendfile", ["sendfile-to-pipe"],
                expect: .refused("EINVAL")),
        ]
        + [
            ("NEWUSER", "0x10000000"), ("NEWNS", "0x00020000"), ("NEWPID", "0x20000000"), ("NEWNET", "0x40000000"),
            ("NEWIPC", "0x08000000"), ("NEWUTS", "0x04000000"), ("NEWCGROUP", "0x02000000"),
        ].map { name, flag in
            Attack("E64", "makes a namespace with clone, \(name)", ["clone-flag", flag], expect: .refused("EPERM"))
        }
}

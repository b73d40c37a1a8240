import ApusCore
import ApusSandbox
import Glibc

extension AttackTable {
    /// Calls as bare as they come. The arguments are such that the kernel, asked as root, changes nothing.
    static let calls: [Attack] =
        tripWires.map { words in
            Attack("E66", "calls \(words[0])", ["call"] + words, expect: .killed, control: .same(.asked))
        }
        + refused.map { words in
            Attack(
                callNumbers[words[0]] ?? "E81", "calls \(words[0])", ["call"] + words, expect: .refused("EPERM"),
                // Buffers lie near the device.
                except: words[0] == "mbind" ? [.gpu: .asked] : [:],
                control: .same(.reaches(past: "EPERM")))
        }
        + absent.map { words in
            Attack(
                callNumbers[words[0]] ?? "E81", "calls \(words[0])", ["call"] + words, expect: .refused("ENOSYS"),
                control: .same(.reaches(past: "ENOSYS")))
        }
        + [
            Attack(
                "E72", "makes memory that the kernel hides", ["call", "memfd_secret"], expect: .refused("ENOSYS"),
                control: .none("most kernels have it turned off")),
            Attack(
                "E81", "hangs up the terminal", ["call", "vhangup"], expect: .refused("EPERM"),
                control: .none("it would hang up the terminal of whoever runs the tests")),
        ]

    private static let minusOne = "18446744073709551615"

    private static let tripWires: [[String]] = [
        ["init_module"], ["finit_module", minusOne], ["delete_module"], ["kexec_load", "0", "0", "0", "255"],
        ["kexec_file_load", minusOne, minusOne, "0", "0", "255"], ["reboot"], ["umount2"], ["pivot_root"], ["fsopen"],
        ["fsmount", minusOne], ["fsconfig", minusOne], ["fspick", minusOne], ["open_tree", minusOne],
        ["move_mount", minusOne], ["mount_setattr", minusOne], ["setns", minusOne], ["open_by_handle_at", minusOne],
        ["bpf", "0xffff"], ["iopl"], ["ioperm", "0", "1"],
    ]

    private static let refused: [[String]] = [
        ["unshare"], ["personality", "0xffffffff"], ["userfaultfd"], ["keyctl", "0xffff"], ["add_key"],
        ["request_key"], ["perf_event_open"], ["name_to_handle_at", minusOne], ["quotactl", "0xffff00"],
        ["fanotify_init"], ["fanotify_mark", minusOne], ["modify_ldt"], ["syslog", "9"], ["acct", "1"], ["swapon"],
        ["swapoff"], ["mknod"], ["mknodat", minusOne], ["chroot"], ["mq_open"], ["mq_unlink"],
        ["mq_timedsend", minusOne], ["mq_timedreceive", minusOne], ["mq_notify", minusOne],
        ["mq_getsetattr", minusOne], ["shmget"], ["shmat", minusOne], ["shmctl", minusOne], ["semget"],
        ["semctl", minusOne], ["msgget"], ["msgctl", minusOne], ["io_setup"], ["io_submit"], ["setxattr"],
        ["lsetxattr"], ["fsetxattr", minusOne], ["removexattr"], ["chown"], ["fchown", minusOne],
        ["fchownat", minusOne], ["setuid"], ["setgid"], ["setreuid"], ["setregid"], ["setresuid"], ["setresgid"],
        ["setgroups"], ["setfsuid"], ["capset"], ["sethostname", "0", minusOne], ["setdomainname", "0", minusOne],
        ["settimeofday"], ["clock_settime"], ["clock_adjtime"], ["adjtimex"], ["setpriority"],
        ["sched_setscheduler"], ["sched_setattr"], ["set_mempolicy"], ["mbind"], ["migrate_pages"], ["move_pages"],
        ["seccomp", "99"], ["ioprio_set", "99"], ["arch_prctl", "0x3005"], ["arch_prctl", "0x100001012"],
    ]

    private static let absent: [[String]] = [
        ["io_uring_setup"], ["io_uring_enter", minusOne], ["io_uring_register", minusOne], ["splice", minusOne],
        ["tee", minusOne], ["vmsplice", minusOne], ["openat2", minusOne], ["mlockall", "0xffff"],
        ["inotify_init1"], ["syncfs", minusOne], ["fcntl", "1", "8", "1"], ["fcntl", "1", "1031", "4096"],
        ["remap_file_pages", "1", "1", "1"],
    ]

    private static let callNumbers: [String: String] = [
        "unshare": "E64", "personality": "E73", "userfaultfd": "E70", "keyctl": "E71", "add_key": "E71",
        "request_key": "E71", "modify_ldt": "E74", "arch_prctl": "E74", "setuid": "E78", "setgid": "E78",
        "setgroups": "E78", "capset": "E78", "chroot": "E78", "settimeofday": "E82", "clock_settime": "E82",
        "adjtimex": "E82", "clock_adjtime": "E82", "shmget": "E83", "semget": "E83", "msgget": "E83",
        "mq_open": "E83", "io_uring_setup": "E67", "io_uring_enter": "E67", "io_uring_register": "E67",
        "splice": "X10", "tee": "X10", "vmsplice": "X10", "mlockall": "A11", "inotify_init1": "A8",
        "fcntl": "X11", "syncfs": "X12", "remap_file_pages": "X12",
    ]
}

import ApusCore
import ApusSandbox
import Glibc

extension AttackTable {
    static let processes: [Attack] = [
        Attack(
            "B30", "executes a program", ["execute", "/bin/echo", "ok"], on: AttackProfile.withoutPrograms,
            expect: .refused("EPERM")),
        Attack(
            "B30", "executes the loader with a program", ["execute", "/lib64/ld-linux-x86-64.so.2", "/bin/echo", "ok"],
            on: AttackProfile.withoutPrograms, expect: .refused("EPERM")),
        Attack(
            "B30", "executes itself again", ["execute", "/proc/self/exe", "environment"],
            on: AttackProfile.withoutPrograms, expect: .refused("EPERM"),
            control: .run(["execute", "/bin/echo", "ok"], .works)),
        Attack(
            "B30", "repeats the call that started it", ["execute-again"], on: AttackProfile.functions,
            expect: .refused("EFAULT")),
        Attack(
            "B30", "executes a program by the call that started it, by a path of its own",
            ["execute-at", "/bin/echo", "ok"], on: AttackProfile.withoutPrograms, expect: .refused("ENOSYS"),
            // A clone executed nothing, so that its filter is the same on every host; Node's root has no such program.
            except: [.clone: .refused("ENOSYS"), .node: .refused("ENOSYS ENOENT")]
        ).losing(.execOnce, expect: .refused("EACCES"), because: "the filter lets it through, Landlock does not"),
        Attack(
            "B30", "executes the loader by the call that started it, with a program",
            ["execute-at", "/lib64/ld-linux-x86-64.so.2", "/function/probe", "read", "/dev/null"],
            on: AttackProfile.withoutPrograms, expect: .refused("ENOSYS"), except: [.clone: .refused("ENOSYS")],
            control: .run(["execute-at", "/lib64/ld-linux-x86-64.so.2", "/bin/echo", "ok"], .works)
        ).losing(
            .execOnce, expect: .works,
            because: "page zero takes root: the loader may be executed again, and loads any program of the root"),
        Attack(
            "E72", "executes from memory", ["execute-memory"], on: AttackProfile.functions,
            expect: .refused("ENOSYS")),
        Attack("X4", "maps the page at zero", ["page-zero"], expect: .refused("EPERM")),
        Attack(
            "X4", "opens a descriptor as high as its program's was", ["high-descriptor"], expect: .refused("EBADF")),
        Attack("X5", "arranges to outlive the nursery", ["outlive-parent"], expect: .refused("EPERM")),
        Attack(
            "X6", "makes a child of its parent's", ["sibling"], on: [.native], expect: .works),
        Attack("D52", "has itself traced", ["trace-me"], expect: .refused("EPERM")),
        Attack(
            "D52", "traces the first process", ["trace", "1"], expect: .refused("EPERM"),
            control: .none("it would trace the run itself; a process of the host is attempted by a test of its own")),
        Attack(
            "D53", "takes a descriptor of another process", ["call", "pidfd_getfd", "0"], expect: .refused("EPERM"),
            control: .same(.reaches(past: "EPERM"))),
        Attack(
            "D53", "compares itself with others", ["call", "kcmp", "1", "1"], expect: .refused("EPERM"),
            control: .same(.reaches(past: "EPERM"))),
        Attack(
            "D53", "reads the memory of the first process", ["call", "process_vm_readv", "1"],
            expect: .refused("EPERM"), control: .same(.reaches(past: "EPERM"))),
        Attack(
            "D53", "writes the memory of the first process", ["call", "process_vm_writev", "1"],
            expect: .refused("EPERM"), control: .same(.reaches(past: "EPERM"))),
        Attack(
            "D53", "has the memory of others written out", ["call", "process_madvise", "-1"],
            expect: .refused("EPERM"), control: .same(.reaches(past: "EPERM"))),
        Attack(
            "D51", "reads the memory and environment of the worker", ["read", "/proc/1/environ"], on: [.exec],
            expect: .refused("ENOENT"), control: .run(["read", "/proc/self/environ"], .works)),
        Attack(
            "D51", "sees processes of the host", ["processes"], on: [.native, .python], expect: .atMost(3),
            control: .none("the control has a namespace of processes of its own")),
        Attack(
            "D56", "searches new memory for what others left", ["fresh-memory", "16777216"], expect: .prints("0"),
            control: .same(.prints("0"))),
        Attack(
            "X7", "changes the limits of the first process", ["call", "prlimit64", "1", "7"],
            expect: .refused("ENOSYS")),
        Attack("X8", "makes a socket that sends to any address", ["datagram-pair"], expect: .refused("ENOSYS")),
        Attack(
            "X9", "changes the times of its input", ["touch-input"], on: [.native, .python], expect: .refused("EROFS")),
    ]
}

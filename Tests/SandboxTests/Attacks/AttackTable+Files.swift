import ApusCore
import ApusSandbox
import Glibc

extension AttackTable {
    private static let mark = "apus-attack"

    static let files: [Attack] =
        [
            Attack("C32", "reads /etc/shadow", ["read", "/etc/shadow"], expect: .refused("ENOENT")),
            Attack("C32", "lists /root", ["list", "/root"], expect: .refused("ENOENT")),
            Attack("C32", "lists /home", ["list", "/home"], expect: .refused("ENOENT")),
            Attack("C32", "lists /var", ["list", "/var"], expect: .refused("ENOENT")),
            Attack(
                "C32", "lists the data directory", ["list", Laboratory.dataDirectory], expect: .refused("ENOENT")),
            Attack("C33", "leaves through ..", ["read", "../../../../etc/shadow"], expect: .refused("ENOENT")),
            Attack("C33", "climbs by descriptors of folders", ["climb"], expect: .refused("ENOENT")),
            Attack(
                "C33", "leaves through its own root in /proc", ["read", "/proc/self/root/etc/shadow"],
                expect: .refused("ENOENT")),
            Attack(
                "C33", "leaves through the root of process 1", ["read", "/proc/1/root/etc/shadow"],
                expect: .refused("ENOENT"), control: .run(["read", "/proc/self/root/etc/shadow"], .works)),
            Attack(
                "C33", "leaves through a link", ["read-link", "/tmp", "/etc/shadow"], expect: .refused("ENOENT"),
                control: .run(["read-link", host, "/etc/shadow"], .works)),
            Attack(
                "C33", "leaves through a link into /proc", ["read-link", "/tmp", "/proc/self/cwd/../../etc/shadow"],
                expect: .refused("ENOENT"),
                control: .run(["read-link", host, "/proc/self/root/etc/shadow"], .works)),
            Attack("C35", "opens a file by its handle", ["handle"], expect: .killed),
            Attack(
                "C36", "overwrites a program", ["overwrite", "/usr/bin/env"],
                expect: .refused("EROFS EACCES"), except: [.node: .refused("ENOENT")]),
            Attack(
                "C36", "removes a program", ["remove", "/usr/bin/env"], expect: .refused("EROFS EACCES"),
                control: .none("it would remove it")),
            Attack(
                "C37", "makes a device", ["mknod", "/tmp/null"], expect: .refused("EPERM"),
                control: .run(["mknod", "\(host)/null"], .works)),
            Attack(
                "C39", "sets an attribute", ["setxattr", "/tmp/file"], expect: .refused("EPERM"),
                control: .run(["setxattr", "\(host)/file"], .works)),
            Attack(
                "C40", "links a file of another file system", ["link", "/usr/bin/env", "/tmp/\(mark)"],
                expect: .refused("EXDEV EACCES EPERM"), except: [.node: .refused("ENOENT")],
                control: .run(
                    ["link", "\(Laboratory.folder)/runtimes/python/apus/__main__.py", "\(host)/\(mark)"], .works)),
            Attack(
                "C40", "moves a file into its bundle", ["rename", "/tmp/a", "/function/\(mark)"],
                expect: .refused("EXDEV EROFS EACCES"),
                control: .run(["rename", "\(host)/a", "\(host)/b"], .works)),
            Attack(
                "C47", "reads the kernel's settings", ["read", "/proc/sys/kernel/core_pattern"],
                expect: .refused("ENOENT")),
            Attack(
                "C47", "sets what the kernel starts at a crash", ["overwrite", "/proc/sys/kernel/core_pattern"],
                expect: .refused("ENOENT")),
            Attack(
                "C47", "presses the magic key", ["overwrite", "/proc/sysrq-trigger"], expect: .refused("ENOENT"),
                control: .none("a host need not have the file")),
            Attack(
                "C47", "lists /sys", ["list", "/sys"], expect: .refused("ENOENT"),
                // A worker with a device sees its place on the bus: "It sees its device's place on the bus, and no more of /sys".
                except: [.gpu: .works]),
            Attack(
                "C47", "lists control groups", ["list", "/sys/fs/cgroup"], expect: .refused("ENOENT")),
            Attack(
                "C47", "reads the kernel's memory map", ["read", "/proc/kallsyms"], expect: .refused("ENOENT"),
                // An empty file covers it.
                except: [.gpu: .works]),
            Attack(
                "C49", "mounts over its /proc", ["call", "mount"], expect: .killed,
                control: .run(["mount", host], .works)),
            Attack(
                "C38", "finds setuid programs that work", ["flags", "/usr"], expect: .prints("ro nosuid nodev"),
                // Its few programs lie in the root itself, where devices are too.
                except: [.node: .prints("ro nosuid dev")],
                control: .run(["flags", host], .prints("rw suid dev"))),
            Attack(
                "C38", "makes setuid programs that work", ["flags", "/tmp"], expect: .prints("rw nosuid nodev"),
                control: .run(["flags", host], .prints("rw suid dev"))),
            Attack(
                "C38", "finds setuid programs in its bundle", ["flags", "/function"],
                expect: .prints("ro nosuid nodev"), control: .run(["flags", host], .prints("rw suid dev"))),
            Attack(
                "C38", "finds its root writable", ["flags", "/"], expect: .prints("ro nosuid dev"),
                control: .run(["flags", host], .prints("rw suid dev"))),
            Attack(
                "C38", "makes what it builds setuid where that works", ["flags", "/out"], on: [.build, .fetch],
                expect: .prints("rw nosuid nodev"), control: .run(["flags", host], .prints("rw suid dev"))),
            Attack(
                "X1", "makes a device usable by nobody", ["change-mode", "/dev/null", "0000"],
                expect: .refused("EROFS EPERM"), control: .none("it would do so")),
            Attack(
                "X2", "makes itself the last to be ended for memory", ["overwrite", "/proc/self/oom_score_adj"],
                expect: .refused("EROFS EACCES EPERM ENOENT"),
                // It may write there what stands there; less is refused by the kernel.
                except: [.gpu: .works]),
            Attack(
                "X3", "learns where its bundle lies on the host",
                ["find", "/proc/self/mountinfo", "/home/"], expect: .prints("0"),
                control: .none("the tests' own files need not lie there")),
        ]
        + ["/usr", "/etc", "/function", "", "/dev", "/proc", "/runtime", "/layer"].map { folder in
            Attack(
                "C36", "writes to \(folder.isEmpty ? "its root" : folder)", ["write", "\(folder)/\(mark)"],
                expect: .refused("EROFS ENOENT EACCES"), control: .run(["write", "\(host)/\(mark)"], .works))
        }
        + [
            "mem", "kmem", "port", "kmsg", "kvm", "fuse", "net/tun", "loop-control", "vhost-vsock", "userfaultfd",
            "sda", "vda", "nvme0n1", "dri/card0", "nvidiactl", "snapshot", "console", "tty", "ptmx", "input/event0",
        ].map { device in
            Attack(
                "C37", "opens /dev/\(device)", ["read", "/dev/\(device)"], expect: .refused("ENOENT"),
                except: device == "nvidiactl" ? [.gpu: .works] : [:],
                control: .none("which devices a host has differs, and reading some of them waits or harms"))
        }
}

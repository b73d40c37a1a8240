import ApusCore
import Glibc
import Testing

/// One attempt, made in a sandbox and as root without one.
struct Attack: Sendable, CustomTestStringConvertible {
    enum Outcome: Sendable {
        /// The probe said it did not work, with this error.
        case refused(String)
        /// The kernel ended the process: a trip-wire.
        case killed
        /// The probe printed exactly this.
        case prints(String)
        /// The probe printed a number of at most this.
        case atMost(Int)
        case atLeast(Int)
        case works
        /// It reached the kernel, whatever that answered.
        case asked
    }

    var name: String
    var inside: [String]
    var control: [String]
    var expected: Outcome
    var without: Outcome
    var bounds: SandboxBounds

    init(
        _ name: String, _ inside: [String], control: [String]? = nil, expect expected: Outcome,
        without: Outcome = .works,
        bounds: SandboxBounds = SandboxBounds()
    ) {
        self.name = name
        self.inside = inside
        self.control = control ?? inside
        self.expected = expected
        self.without = without
        self.bounds = bounds
    }

    var testDescription: String { self.name }
}

extension Attack.Outcome {
    func holds(line: String, code: CInt?, signal: CInt?) -> Bool {
        switch self {
        case .refused(let error): code == 0 && line.hasPrefix("errno ") && line.hasSuffix(" \(error)")
        case .killed: signal == SIGSYS
        case .prints(let text): code == 0 && line == text
        case .atMost(let bound): code == 0 && (Int(line).map { $0 <= bound } ?? false)
        case .atLeast(let bound): code == 0 && (Int(line).map { $0 >= bound } ?? false)
        case .works: code == 0 && line == "ok"
        case .asked: code == 0 && (line == "ok" || line.hasPrefix("errno "))
        }
    }
}

extension SandboxTests {
    @Suite("Attacks from inside a sandbox")
    struct AttackTests {
        private static let host = "\(Laboratory.folder)/host"

        static let files: [Attack] = [
            Attack("reads /etc/shadow", ["read", "/etc/shadow"], expect: .refused("ENOENT")),
            Attack(
                "reads it through /proc/1/root", ["read", "/proc/1/root/etc/shadow"],
                control: ["read", "/proc/self/root/etc/shadow"], expect: .refused("ENOENT")),
            Attack(
                "reads it through ..", ["read", "../../../../etc/shadow"], control: ["read", "/../../etc/shadow"],
                expect: .refused("ENOENT")),
            Attack(
                "reads the host's kernel settings", ["read", "/proc/sys/kernel/core_pattern"],
                expect: .refused("ENOENT")),
            Attack(
                "writes to its bundle", ["write", "/function/new"], control: ["write", "\(host)/new"],
                expect: .refused("EROFS")),
            Attack(
                "writes to /usr", ["write", "/usr/new"], control: ["write", "\(host)/new"], expect: .refused("EROFS")),
            Attack(
                "writes to the root", ["write", "/new"], control: ["write", "\(host)/new"], expect: .refused("EROFS")),
            Attack(
                "writes to /etc", ["write", "/etc/new"], control: ["write", "\(host)/new"], expect: .refused("EROFS")),
            Attack(
                "opens a device that is not there", ["read", "/dev/mem"], control: ["read", "/dev/zero"],
                expect: .refused("ENOENT")),
            Attack(
                "makes a device", ["mknod", "/tmp/null"], control: ["mknod", "\(host)/null"],
                expect: .refused("EPERM")),
            Attack("opens a file by its handle", ["handle"], expect: .killed),
            Attack(
                "sets an attribute", ["setxattr", "/tmp/file"], control: ["setxattr", "\(host)/file"],
                expect: .refused("EPERM")),
            Attack(
                "fills its scratch", ["fill", "/tmp", "33554432"], control: ["fill", host, "33554432"],
                expect: .atMost(8_192),
                without: .atLeast(32_768), bounds: SandboxBounds(scratchBytes: 8 << 20)),
            Attack(
                "floods its scratch with files", ["flood", "/tmp", "5000"], control: ["flood", host, "5000"],
                expect: .atMost(2_200),
                without: .atLeast(5_000), bounds: SandboxBounds(scratchBytes: 8 << 20)),
            Attack(
                "makes a huge sparse file", ["big-file", "/tmp/big", "10000000000"],
                control: ["big-file", "\(host)/big", "10000000000"],
                expect: .refused("EFBIG"), bounds: SandboxBounds(scratchBytes: 8 << 20)),
        ]

        static let programs: [Attack] = [
            Attack("executes a program", ["execute", "/bin/echo", "ok"], expect: .refused("EPERM")),
            Attack(
                "executes the loader with a program", ["execute", "/lib64/ld-linux-x86-64.so.2", "/bin/echo", "ok"],
                expect: .refused("EPERM")),
            Attack(
                "executes itself again", ["execute", "/proc/self/exe", "environment"],
                control: ["execute", "/bin/echo", "ok"], expect: .refused("EPERM")),
            Attack("repeats the call that started it", ["execute-again"], expect: .refused("EFAULT")),
            Attack("executes from memory", ["execute-memory"], expect: .refused("ENOSYS")),
            Attack("maps the page at zero", ["page-zero"], expect: .refused("EPERM")),
            Attack("opens a descriptor as high as its program's was", ["high-descriptor"], expect: .refused("EBADF")),
            Attack("raises a limit", ["raise-limit"], expect: .refused("EPERM")),
            Attack(
                "lowers the limit of dumps to where the host's handler starts", ["lower-core"],
                expect: .refused("ENOSYS")),
            Attack("watches what others open", ["watch", "/usr/bin"], expect: .refused("ENOSYS")),
            Attack("arranges to outlive the nursery", ["outlive-parent"], expect: .refused("EPERM")),
            Attack("makes a socket that sends to any address", ["datagram-pair"], expect: .refused("ENOSYS")),
        ]

        static let kernel: [Attack] = [
            Attack("mounts", ["mount", "/tmp"], control: ["mount", host], expect: .killed),
            Attack("leaves its namespaces", ["unshare"], expect: .refused("EPERM")),
            Attack("makes a namespace with clone", ["clone"], expect: .refused("EPERM")),
            Attack("makes a namespace with clone3", ["clone3"], expect: .refused("ENOSYS")),
            Attack("enters a namespace", ["setns"], expect: .killed),
            Attack("uses keyrings", ["keyctl"], expect: .refused("EPERM")),
            Attack("makes a BPF map", ["bpf"], expect: .killed),
            Attack("makes an io_uring", ["io-uring"], expect: .refused("ENOSYS")),
            Attack("makes a userfaultfd", ["userfaultfd"], expect: .refused("EPERM")),
            Attack("calls as i386", ["int80"], expect: .killed),
            Attack("calls as x32", ["x32"], expect: .killed, without: .asked),
            Attack("becomes root", ["setuid"], expect: .refused("EPERM")),
            Attack("drops its groups", ["setgroups"], expect: .refused("EPERM")),
            Attack("changes its root", ["chroot"], expect: .refused("EPERM")),
            Attack("reboots", ["reboot"], expect: .killed, without: .asked),
            Attack("loads a kernel module", ["init-module"], expect: .killed, without: .asked),
            Attack("changes its personality", ["personality"], expect: .refused("EPERM")),
            Attack("measures others", ["perf"], expect: .refused("EPERM")),
            Attack("splices the page cache", ["splice"], expect: .refused("ENOSYS")),
            Attack("makes shared memory that stays", ["shmget"], expect: .refused("EPERM")),
            Attack("makes a message queue that stays", ["queue"], expect: .refused("EPERM")),
            Attack("renames the machine", ["sethostname"], expect: .refused("EPERM")),
            Attack("makes itself dumpable", ["dumpable"], expect: .refused("ENOSYS")),
            Attack("types into a terminal", ["tiocsti"], expect: .refused("EPERM"), without: .asked),
        ]

        static let resources: [Attack] = [
            Attack(
                "bombs with forks", ["fork-bomb", "200"], expect: .atMost(15), without: .prints("200"),
                bounds: SandboxBounds(processes: 16)),
            Attack(
                "bombs with threads", ["thread-bomb", "200"], expect: .atMost(15), without: .prints("200"),
                bounds: SandboxBounds(processes: 16)),
            Attack(
                "opens descriptors without end", ["descriptor-bomb"], expect: .atMost(64), without: .atLeast(500),
                bounds: SandboxBounds(openFiles: 64)),
            Attack("counts the host's processes", ["processes"], expect: .prints("1"), without: .atLeast(2)),
            Attack("makes sockets of every family", ["sockets"], expect: .prints("0"), without: .atLeast(5)),
        ]

        @Test("Each attempt on files fails in the sandbox and works without it", arguments: files)
        func refusesFiles(_ attack: Attack) async throws { try await self.check(attack) }

        @Test("Each attempt to run a program fails in the sandbox and works without it", arguments: programs)
        func refusesPrograms(_ attack: Attack) async throws { try await self.check(attack) }

        @Test("Each attempt on the kernel fails in the sandbox and works without it", arguments: kernel)
        func refusesKernel(_ attack: Attack) async throws { try await self.check(attack) }

        @Test("Each attempt on resources meets its bound in the sandbox and none without it", arguments: resources)
        func boundsResources(_ attack: Attack) async throws { try await self.check(attack) }

        private func check(_ attack: Attack) async throws {
            try await withLaboratory { laboratory in
                let ending = try await laboratory.run(laboratory.order(attack.inside, bounds: attack.bounds))
                #expect(ending.exit.failedStage == nil)
                #expect(
                    attack.expected.holds(line: ending.firstLine, code: ending.exit.code, signal: ending.exit.signal),
                    "in the sandbox: '\(ending.firstLine)' \(ending.exit) \(ending.errors)")
                let control = Laboratory.control(attack.control)
                #expect(
                    attack.without.holds(
                        line: control.output, code: control.status & 0x7F == 0 ? control.status >> 8 : nil,
                        signal: control.status & 0x7F),
                    "without it: '\(control.output)' \(control.status)")
            }
            // What control runs left behind.
            TestFiles.remove(Self.host)
            TestFiles.makeFolder(Self.host)
        }
    }
}

import ApusCore
import Glibc
import Testing

/// Reads the profiles as the nursery does and checks what a reviewer would.
@Suite("System-call profiles")
struct ProfileTests {
    struct Rule: Equatable {
        var action: String
        var calls: [String]
        var isConditional: Bool
        var place: String
    }

    /// Calls that no profile may ever allow, whatever their arguments.
    static let tripWires: Set<String> = [
        "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "mount", "umount2",
        "pivot_root", "fsopen",
        "fsmount", "fsconfig", "fspick", "open_tree", "move_mount", "mount_setattr", "setns", "open_by_handle_at",
        "bpf", "iopl", "ioperm",
    ]
    /// Calls that no profile may allow either; they are refused with an error.
    static let refused: Set<String> = [
        "ptrace", "process_vm_readv", "process_vm_writev", "unshare", "clone3", "io_uring_setup", "io_uring_enter",
        "io_uring_register",
        "userfaultfd", "keyctl", "add_key", "request_key", "perf_event_open", "personality", "mknod", "mknodat",
        "chroot", "setuid", "capset",
        "seccomp", "splice", "tee", "vmsplice", "name_to_handle_at", "pidfd_getfd", "kcmp", "modify_ldt",
    ]
    static let profiles = [
        "python.profile", "native.profile", "exec.profile", "node.profile", "build.profile", "fetch.profile",
    ]

    static let folder: String = {
        var parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        parts.removeLast(3)
        return parts.joined(separator: "/") + "/sandbox/profiles"
    }()

    static func lines(of name: String) throws -> [String] {
        let file = open("\(self.folder)/\(name)", O_RDONLY)
        guard file >= 0 else { throw ApusError(.notFound, "no profile \(name) in \(self.folder)") }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = read(file, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self).split(
            separator: "\n", omittingEmptySubsequences: false
        ).map(String.init)
    }

    static func rules(of name: String) throws -> [Rule] {
        var rules: [Rule] = []
        for (index, line) in try self.lines(of: name).enumerated() {
            let words = line.prefix { $0 != "#" }.split(separator: " ").map(String.init)
            guard let action = words.first else { continue }
            if action == "include" {
                rules += try self.rules(of: words[1])
                continue
            }
            let first = action == "errno" ? 2 : 1
            let calls = Array(words.dropFirst(first).prefix { $0 != "when" })
            rules.append(
                Rule(action: action, calls: calls, isConditional: words.contains("when"), place: "\(name):\(index + 1)")
            )
        }
        return rules
    }

    static func violations(_ rules: [Rule]) -> [String] {
        rules.flatMap { rule in
            rule.calls.filter { rule.action == "allow" && (self.tripWires.contains($0) || self.refused.contains($0)) }
                .map { "\(rule.place) allows \($0)" }
        }
    }

    @Test("No profile allows a trip-wire", arguments: profiles)
    func noTripWire(_ name: String) throws {
        let rules = try Self.rules(of: name)
        #expect(Self.violations(rules).isEmpty)
        let killed = Set(rules.filter { $0.action == "kill" && !$0.isConditional }.flatMap(\.calls))
        #expect(Self.tripWires.isSubset(of: killed))
    }

    @Test("The check notices an allowed trip-wire")
    func noticesTripWire() {
        let rules = [Rule(action: "allow", calls: ["read", "mount"], isConditional: true, place: "x:1")]
        #expect(Self.violations(rules) == ["x:1 allows mount"])
    }

    @Test(
        "Every rule says its reason",
        arguments: profiles + ["core.list", "network.list", "no-network.list", "exec-once.list", "programs.list"])
    func everyRuleHasAReason(_ name: String) throws {
        for (index, line) in try Self.lines(of: name).enumerated()
        where !line.isEmpty && !line.hasPrefix("#") && !line.hasPrefix("include ") {
            let reason = line.drop { $0 != "#" }.dropFirst()
            #expect(reason.contains { $0.isLetter }, "\(name):\(index + 1) gives no reason")
        }
    }

    @Test("Functions may execute nothing but once", arguments: ["python.profile", "native.profile", "node.profile"])
    func executesOnce(_ name: String) throws {
        let rules = try Self.rules(of: name).filter {
            $0.action == "allow" && ($0.calls.contains("execve") || $0.calls.contains("execveat"))
        }
        #expect(rules.count == 1)
        #expect(rules.first?.calls == ["execveat"])
        #expect(rules.first?.isConditional == true)
    }

    @Test("A command may start programs, but only the nursery executes a descriptor")
    func execStartsPrograms() throws {
        let rules = try Self.rules(of: "exec.profile").filter { $0.action == "allow" }
        #expect(rules.filter { $0.calls.contains("execve") }.map(\.isConditional) == [false])
        #expect(rules.filter { $0.calls.contains("execveat") }.map(\.isConditional) == [true])
        #expect(!rules.contains { $0.calls.contains("socket") })
    }

    @Test("Only the fetch profile makes sockets", arguments: profiles)
    func sockets(_ name: String) throws {
        let rules = try Self.rules(of: name).filter {
            $0.action == "allow" && ($0.calls.contains("socket") || $0.calls.contains("connect"))
        }
        #expect(rules.isEmpty == (name != "fetch.profile"))
        #expect(try !Self.rules(of: name).contains { $0.action == "allow" && $0.calls.contains("listen") })
    }
}

import ApusCore
import ApusTestSupport
import Glibc
import Testing

/// Reads the profiles as the nursery does and checks what a reviewer would.
@Suite("System-call profiles")
struct ProfileTests {
    /// `argN & mask == value`, or a plain comparison of all 64 bits.
    struct Condition: Equatable {
        var argument: Int
        var mask: UInt64?
        var comparison: String
        var value: UInt64
    }

    struct Rule: Equatable {
        var action: String
        var calls: [String]
        var conditions: [Condition]
        var place: String
        var isConditional: Bool { !self.conditions.isEmpty }
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
    /// All that lie in the folder: a new one is checked from its first day.
    static let profiles = names(ending: ".profile").filter { !overlays.contains($0) && !own.contains($0) }
    /// Of processes that run no code of a function.
    static let own: Set<String> = ["zygote.profile", "auditor.profile"]
    /// Filters beside another, of which the stricter decides: they only ever refuse.
    static let overlays: Set<String> = ["hostile.profile", "call.profile"]
    /// In these, programs are started at will.
    static let startPrograms: Set<String> = [
        "exec.profile", "exec-proxy.profile", "build.profile", "fetch.profile",
    ]

    static let folder: String = {
        var parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        parts.removeLast(3)
        return parts.joined(separator: "/") + "/sandbox/profiles"
    }()

    static func names(ending: String) -> [String] {
        Folder.names(self.folder).filter { $0.hasSuffix(ending) }
    }

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
        try self.rules(in: self.lines(of: name), of: name)
    }

    static func rules(in lines: [String], of name: String) throws -> [Rule] {
        var rules: [Rule] = []
        for (index, line) in lines.enumerated() {
            let words = line.prefix { $0 != "#" }.split(separator: " ").map(String.init)
            guard let action = words.first else { continue }
            if action == "include" {
                rules += try self.rules(of: words[1])
                continue
            }
            let first = action == "errno" ? 2 : action == "report" ? 3 : 1
            let calls = Array(words.dropFirst(first).prefix { $0 != "when" })
            let conditions = try self.conditions(words.drop { $0 != "when" }.dropFirst(), "\(name):\(index + 1)")
            rules.append(Rule(action: action, calls: calls, conditions: conditions, place: "\(name):\(index + 1)"))
        }
        return rules
    }

    private static func conditions(_ words: ArraySlice<String>, _ place: String) throws -> [Condition] {
        try words.split(separator: "and").map { part in
            let part = Array(part)
            func number(_ index: Int) throws -> UInt64 {
                let text = index < part.count ? part[index] : ""
                let value = text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text)
                guard let value else { throw ApusError(.invalidArgument, "\(place): '\(text)' is no number") }
                return value
            }
            guard let argument = part.first.flatMap({ Int($0.dropFirst(3)) }), part.count == 3 || part.count == 5 else {
                throw ApusError(.invalidArgument, "\(place): no condition: \(part)")
            }
            return part.count == 5
                ? Condition(argument: argument, mask: try number(2), comparison: part[3], value: try number(4))
                : Condition(argument: argument, mask: nil, comparison: part[1], value: try number(2))
        }
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

    @Test("The zygote may mount what its clones need, and nothing else that a function may not")
    func zygoteAllowsItsStepsOnly() throws {
        let rules = try Self.rules(of: "zygote.profile")
        let steps: Set<String> = [
            "mount", "umount2", "pivot_root", "move_mount", "unshare", "clone3", "keyctl", "capset", "seccomp",
            "io_uring_setup", "io_uring_register",
        ]
        let allowed = Set(rules.filter { $0.action == "allow" }.flatMap(\.calls))
        #expect(allowed.intersection(Self.tripWires.union(Self.refused)) == steps)
        #expect(
            rules.filter { $0.action == "allow" && !$0.calls.isEmpty && $0.isConditional }.flatMap(\.calls).sorted()
                == ["execveat", "keyctl", "unshare"])
        let killed = Set(rules.filter { $0.action == "kill" && !$0.isConditional }.flatMap(\.calls))
        #expect(Self.tripWires.subtracting(steps).isSubset(of: killed))
        #expect(allowed.isDisjoint(with: ["socket", "connect", "bind", "listen", "execve", "ptrace"]))
    }

    @Test("The auditor waits, takes listeners, is told of calls and answers: it may do nothing else")
    func auditorOnlyAnswers() throws {
        let rules = try Self.rules(of: "auditor.profile")
        #expect(rules.allSatisfy { $0.action == "allow" })
        let calls = Set(rules.flatMap(\.calls))
        #expect(
            calls == [
                "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "rt_sigaction", "alarm", "setitimer",
                "rt_sigreturn", "sendto", "recvmsg", "close", "ioctl", "exit_group", "restart_syscall",
            ])
        // RECV and SEND; with ADDFD it could give a sandbox descriptors, with SEND and a flag let calls through, which its code
        // has no way to say.
        let numbers = rules.filter { $0.calls == ["ioctl"] }.map { $0.conditions.map(\.value) }
        #expect(numbers == [[0xc050_2100], [0xc018_2101]])
    }

    @Test("Every refusal that is reported says with which error, and shows no more than the auditor records")
    func reportsAreBounded() throws {
        var shown: [String: String] = [:]
        for name in Self.names(ending: ".profile") + Self.names(ending: ".list") {
            for line in try Self.lines(of: name) {
                let words = line.prefix { $0 != "#" }.split(separator: " ").map(String.init)
                guard words.first == "report" else { continue }
                try #require(words.count > 3, "\(name): \(line)")
                #expect(words[1].hasPrefix("E"))
                let arguments = words[2] == "-" ? [] : words[2].split(separator: ",")
                #expect(arguments.count <= 2 && arguments.allSatisfy { $0.hasPrefix("arg") }, "\(name): \(line)")
                for call in words.dropFirst(3).prefix(while: { $0 != "when" }) {
                    let said = "\(words[1]) \(words[2])"
                    #expect(shown[call] == nil || shown[call] == said, "\(call) is reported differently in \(name)")
                    shown[call] = said
                }
            }
        }
        #expect(shown.count > 50 && shown.count <= 160)
        #expect(["socket", "connect", "ptrace", "execve", "unshare"].allSatisfy { shown[$0] != nil })
    }

    @Test("What a function on Python may call, its zygote may: the clone keeps both filters")
    func zygoteAllowsWhatItsClonesNeed() throws {
        let zygote = Set(try Self.rules(of: "zygote.profile").filter { $0.action == "allow" }.flatMap(\.calls))
        let python = Set(try Self.rules(of: "python.profile").filter { $0.action == "allow" }.flatMap(\.calls))
        #expect(python.subtracting(zygote).isEmpty)
    }

    @Test("A filter beside another allows nothing", arguments: overlays.sorted())
    func overlaysOnlyRefuse(_ name: String) throws {
        let rules = try Self.rules(of: name)
        #expect(!rules.isEmpty && rules.allSatisfy { $0.action != "allow" })
    }

    @Test("The check notices an allowed trip-wire")
    func noticesTripWire() {
        let rules = [Rule(action: "allow", calls: ["read", "mount"], conditions: [], place: "x:1")]
        #expect(Self.violations(rules) == ["x:1 allows mount"])
    }

    @Test(
        "Every rule says its reason",
        arguments: names(ending: ".profile") + names(ending: ".list"))
    func everyRuleHasAReason(_ name: String) throws {
        for (index, line) in try Self.lines(of: name).enumerated()
        where !line.isEmpty && !line.hasPrefix("#") && !line.hasPrefix("include ") {
            let reason = line.drop { $0 != "#" }.dropFirst()
            #expect(reason.contains { $0.isLetter }, "\(name):\(index + 1) gives no reason")
        }
    }

    @Test(
        "Functions may execute nothing but once",
        arguments: [
            "python.profile", "native.profile", "node.profile", "python-proxy.profile", "native-proxy.profile",
            "node-proxy.profile", "egress.profile", "forks.profile",
        ])
    func executesOnce(_ name: String) throws {
        let rules = try Self.rules(of: name).filter {
            $0.action == "allow" && ($0.calls.contains("execve") || $0.calls.contains("execveat"))
        }
        #expect(rules.count == 1)
        #expect(rules.first?.calls == ["execveat"])
        #expect(rules.first?.isConditional == true)
    }

    @Test("Where page zero cannot be mapped, the one rule that changes still names the descriptor of the program")
    func executesOwnProgram() throws {
        for name in ["own-program.list", "own-program-rootless.list"] {
            let rules = try Self.rules(of: name)
            #expect(rules.count == 1 && rules.first?.calls == ["execveat"] && rules.first?.action == "allow")
            let conditions = rules.first?.conditions ?? []
            #expect(conditions.contains(Condition(argument: 0, mask: nil, comparison: "==", value: 1_000)))
            #expect(conditions.contains { $0.argument == 1 } == (name == "own-program.list"))
        }
    }

    @Test("A command may start programs, but only the nursery executes a descriptor")
    func execStartsPrograms() throws {
        let rules = try Self.rules(of: "exec.profile").filter { $0.action == "allow" }
        #expect(rules.filter { $0.calls.contains("execve") }.map(\.isConditional) == [false])
        #expect(rules.filter { $0.calls.contains("execveat") }.map(\.isConditional) == [true])
        #expect(!rules.contains { $0.calls.contains("socket") })
    }

    /// Those of functions with a way out, and of the two processes that have the host's network.
    private static let makeSockets: Set<String> = [
        "fetch.profile", "egress.profile", "python-proxy.profile", "native-proxy.profile", "exec-proxy.profile",
        "node-proxy.profile",
    ]

    @Test("Only profiles with a network make sockets, those of functions for TCP over IPv4 alone", arguments: profiles)
    func sockets(_ name: String) throws {
        let rules = try Self.rules(of: name).filter {
            $0.action == "allow" && ($0.calls.contains("socket") || $0.calls.contains("connect"))
        }
        #expect(rules.isEmpty != Self.makeSockets.contains(name))
        if name.hasSuffix("-proxy.profile") {
            let families = rules.filter { $0.calls.contains("socket") }.flatMap(\.conditions).filter { $0.argument < 2 }
            #expect(families.allSatisfy { $0.value == ($0.argument == 0 ? 2 : 1) })
        }
        #expect(try !Self.rules(of: name).contains { $0.action == "allow" && $0.calls.contains("listen") })
    }
}

import ApusCore
import ApusSandbox
import Testing

extension Attack {
    /// What the audit must have of the attempt when it was refused: the call, and its arguments where they tell it from others.
    /// Nil where the refusal is no reported rule's: that of a mount, of Landlock, of a bound, of a trip-wire, or of a rule that
    /// libraries run into.
    func audited(on profile: AttackProfile, _ reported: Set<String>) -> Denial? {
        guard let word = self.program.first else { return nil }
        switch (word, self.expected) {
        case ("call", .refused): return self.auditedCall(on: profile, reported)
        // Where TCP is allowed, other kinds of it are refused as what no rule names.
        case ("sockets", _) where profile != .fetch && profile != .proxied:
            return Denial("socket", "AF_INET, SOCK_SEQPACKET")
        case (_, .refused):
            return Self.audited[self.program.prefix(3).joined(separator: " ")]
                ?? Self.audited[self.program.prefix(2).joined(separator: " ")] ?? Self.audited[word]
        default: return nil
        }
    }

    private func auditedCall(on profile: AttackProfile, _ reported: Set<String>) -> Denial? {
        let name = self.program[1]
        if name == "ioctl" { return Denial("ioctl", "TIOCSTI") }
        // These are refused with some arguments only.
        if ["fcntl", "prctl", "clone"].contains(name) { return nil }
        // A family that it may use, in a way that it may not, is refused as what no rule names.
        if name == "socket", profile == .fetch { return nil }
        return reported.contains(name) ? Denial(name) : nil
    }

    /// By the probe's words. Programs may be started where they are installed or run.
    private static let audited: [String: Denial] = [
        "socket 1": Denial("socket", "AF_UNIX, SOCK_STREAM"), "socket 2": Denial("socket", "AF_INET, SOCK_STREAM"),
        "socket 2 2": Denial("socket", "AF_INET, SOCK_DGRAM"),
        "socket 10": Denial("socket", "AF_INET6, SOCK_STREAM"), "socket 16": Denial("socket", "AF_NETLINK, SOCK_RAW"),
        "socket 17": Denial("socket", "AF_PACKET, SOCK_RAW"), "inet": Denial("socket"), "abstract": Denial("socket"),
        "execute": Denial("execve"), "trace-me": Denial("ptrace", "PTRACE_TRACEME, 0"), "trace": Denial("ptrace"),
        "unshare": Denial("unshare"), "userfaultfd": Denial("userfaultfd"), "setuid": Denial("setuid", "0"),
        "setgroups": Denial("setgroups"), "chroot": Denial("chroot"), "tiocsti": Denial("ioctl", "TIOCSTI"),
        "perf": Denial("perf_event_open"), "shmget": Denial("shmget"), "queue": Denial("mq_open"),
        "sethostname": Denial("sethostname"), "splice": Denial("splice"),
        "clone-flag 0x10000000": Denial("clone", "CLONE_NEWUSER"),
        "clone-flag 0x00020000": Denial("clone", "CLONE_NEWNS"),
        "clone-flag 0x20000000": Denial("clone", "CLONE_NEWPID"),
        "clone-flag 0x40000000": Denial("clone", "CLONE_NEWNET"),
        "clone-flag 0x08000000": Denial("clone", "CLONE_NEWIPC"),
        "clone-flag 0x04000000": Denial("clone", "CLONE_NEWUTS"),
        "clone-flag 0x02000000": Denial("clone", "CLONE_NEWCGROUP"),
        "outlive-parent": Denial("prctl", "PR_SET_PDEATHSIG"),
    ]
}

extension DenialReport {
    /// Whether it has the call, with these arguments unless there are none to tell.
    func has(_ denial: Denial) -> Bool {
        self.denials.contains {
            $0.call == denial.call && (denial.arguments.isEmpty || $0.arguments == denial.arguments) && $0.count > 0
        }
    }
}

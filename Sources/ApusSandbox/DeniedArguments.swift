internal import Glibc

/// The recorded arguments of a denied call in the kernel's own words, where it has any; else as numbers.
enum DeniedArguments {
    static func text(of call: String, _ values: [UInt32]) -> String {
        values.enumerated().map { Self.word(call, $0.offset, $0.element) }.joined(separator: ", ")
    }

    private static func word(_ call: String, _ place: Int, _ value: UInt32) -> String {
        let known: String? =
            switch (call, place) {
            case ("socket", 0): Self.families[value]
            case ("socket", 1): Self.kinds[value & 0xf]
            case ("ptrace", 0): Self.traces[value]
            case ("unshare", 0), ("clone", 0): Self.spaces(in: value)
            case ("prctl", 0): Self.options[value]
            case ("keyctl", 0): Self.keys[value]
            case ("ioctl", 0): Self.controls[value]
            case ("fcntl", 0): Self.files[value]
            default: nil
            }
        return known ?? Self.number(call, value)
    }

    /// Ids and options are numbers people know; what looks like flags is not.
    private static func number(_ call: String, _ value: UInt32) -> String {
        if value == UInt32.max { return "-1" }
        if call.hasPrefix("set") || value < 4_096 { return "\(value)" }
        return "0x" + String(value, radix: 16)
    }

    /// The namespaces that the flags ask for.
    private static func spaces(in flags: UInt32) -> String? {
        let found = Self.namespaces.filter { flags & $0.flag != 0 }.map(\.name)
        return found.isEmpty ? nil : found.joined(separator: "|")
    }

    private static let namespaces: [(flag: UInt32, name: String)] = [
        (0x1000_0000, "CLONE_NEWUSER"), (0x2_0000, "CLONE_NEWNS"), (0x2000_0000, "CLONE_NEWPID"),
        (0x4000_0000, "CLONE_NEWNET"), (0x800_0000, "CLONE_NEWIPC"), (0x400_0000, "CLONE_NEWUTS"),
        (0x200_0000, "CLONE_NEWCGROUP"), (0x80, "CLONE_NEWTIME"),
    ]

    private static let families: [UInt32: String] = [
        0: "AF_UNSPEC", 1: "AF_UNIX", 2: "AF_INET", 10: "AF_INET6", 15: "AF_KEY", 16: "AF_NETLINK", 17: "AF_PACKET",
        21: "AF_RDS", 29: "AF_CAN", 30: "AF_TIPC", 31: "AF_BLUETOOTH", 33: "AF_RXRPC", 38: "AF_ALG", 39: "AF_NFC",
        40: "AF_VSOCK", 41: "AF_KCM", 42: "AF_QIPCRTR", 43: "AF_SMC", 44: "AF_XDP", 45: "AF_MCTP",
    ]

    /// Without the flags that come with them.
    private static let kinds: [UInt32: String] = [
        1: "SOCK_STREAM", 2: "SOCK_DGRAM", 3: "SOCK_RAW", 4: "SOCK_RDM", 5: "SOCK_SEQPACKET", 6: "SOCK_DCCP",
    ]

    private static let traces: [UInt32: String] = [
        0: "PTRACE_TRACEME", 1: "PTRACE_PEEKTEXT", 2: "PTRACE_PEEKDATA", 4: "PTRACE_POKETEXT", 5: "PTRACE_POKEDATA",
        7: "PTRACE_CONT", 16: "PTRACE_ATTACH", 0x4206: "PTRACE_SEIZE", 0x4207: "PTRACE_INTERRUPT",
    ]

    private static let options: [UInt32: String] = [
        1: "PR_SET_PDEATHSIG", 4: "PR_SET_DUMPABLE", 22: "PR_SET_SECCOMP", 24: "PR_CAPBSET_DROP",
        28: "PR_SET_SECUREBITS", 35: "PR_SET_MM", 47: "PR_CAP_AMBIENT", 0x5961_6d61: "PR_SET_PTRACER",
    ]

    private static let keys: [UInt32: String] = [
        0: "KEYCTL_GET_KEYRING_ID", 1: "KEYCTL_JOIN_SESSION_KEYRING", 2: "KEYCTL_UPDATE", 3: "KEYCTL_REVOKE",
        10: "KEYCTL_SEARCH", 11: "KEYCTL_READ",
    ]

    private static let controls: [UInt32: String] = [0x5412: "TIOCSTI", 0x541c: "TIOCLINUX"]
    private static let files: [UInt32: String] = [1_024: "F_SETLEASE", 1_026: "F_NOTIFY"]
}

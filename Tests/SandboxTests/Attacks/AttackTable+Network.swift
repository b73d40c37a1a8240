import ApusCore
import ApusSandbox
import Glibc

extension AttackTable {
    private static let outside =
        "nothing outside this machine is to be asked: that no socket can be made is what is checked"

    static let network: [Attack] = [
        Attack(
            "F88", "makes a socket for TCP", ["socket", "2", "1"], on: AttackProfile.withoutNetwork,
            expect: .refused("EAFNOSUPPORT")),
        Attack(
            "F88", "makes a socket for TCP over IPv6", ["socket", "10", "1"], on: AttackProfile.withoutNetwork,
            expect: .refused("EAFNOSUPPORT")),
        Attack(
            "F89", "reaches the cloud's metadata", ["call", "connect", "1"], on: AttackProfile.withoutNetwork,
            expect: .refused("EPERM"), control: .same(.reaches(past: "EPERM"))),
        Attack(
            "F90", "reaches the private network", ["inet", "1"], on: AttackProfile.withoutNetwork,
            expect: .refused("EAFNOSUPPORT"), control: .same(.reaches(past: "EAFNOSUPPORT"))),
        Attack(
            "F91", "asks for names", ["socket", "2", "2"], on: AttackProfile.withoutNetwork,
            expect: .refused("EAFNOSUPPORT")),
        Attack(
            "F92", "reaches an abstract socket of the host", ["abstract", "apus-nobody"],
            expect: .refused("EAFNOSUPPORT"), control: .same(.reaches(past: "EAFNOSUPPORT"))),
        Attack("F93", "makes a unix socket", ["socket", "1", "1"], expect: .refused("EAFNOSUPPORT")),
        Attack(
            "F93", "finds the sockets of the host's services", ["list", "/run"], expect: .refused("ENOENT")),
        Attack("F94", "makes a packet socket", ["socket", "17", "3"], expect: .refused("EAFNOSUPPORT")),
        Attack(
            "F94", "makes a raw socket", ["call", "socket", "2", "3", "1"],
            expect: .refused("EAFNOSUPPORT ENOSYS EPERM")),
        Attack(
            "F94", "makes a socket for pings", ["call", "socket", "2", "2", "1"],
            expect: .refused("EAFNOSUPPORT ENOSYS EPERM"), control: .same(.asked)),
        Attack("F95", "makes a netlink socket", ["socket", "16", "3"], expect: .refused("EAFNOSUPPORT")),
        Attack(
            "F95", "makes sockets of every family", ["sockets"], on: AttackProfile.withoutNetwork, expect: .prints("0"),
            control: .same(.atLeast(5))),
        Attack(
            "F95", "makes sockets beyond TCP and UDP", ["sockets"], on: [.fetch], expect: .atMost(4),
            control: .same(.atLeast(5))),
        Attack(
            "F95", "makes a socket, with rubbish in the half of the family that the kernel ignores",
            ["call", "socket", "0x100000010", "3"], expect: .refused("EAFNOSUPPORT ENOSYS")),
        Attack(
            "F88", "reaches another port of loopback than the one there is", ["inet", "1"], on: [.proxied],
            expect: .refused("EACCES"), control: .same(.reaches(past: "EACCES"))),
        Attack(
            "F88", "makes a socket for TCP over IPv6, with a way out", ["socket", "10", "1"], on: [.proxied],
            expect: .refused("EAFNOSUPPORT")),
        Attack(
            "F91", "asks for names itself, with a way out", ["socket", "2", "2"], on: [.proxied],
            expect: .refused("EAFNOSUPPORT")),
        Attack(
            "F95", "makes sockets beyond TCP, with a way out", ["sockets"], on: [.proxied], expect: .atMost(1),
            control: .same(.atLeast(5))),
        Attack(
            "F97", "reaches the one port that it may", ["inet", "3128"], on: [.proxied], expect: .works,
            control: .none("outside of a network of its own there is nothing at that port")),
        Attack(
            "X13", "listens", ["call", "listen", "1"], expect: .refused("EPERM"),
            control: .same(.reaches(past: "EPERM"))),
        Attack(
            "X14", "filters packets with code of its own", ["sockopt", "1", "26"], expect: .refused("ENOSYS"),
            control: .same(.reaches(past: "ENOSYS"))),
        Attack(
            "X14", "filters packets with BPF", ["sockopt", "1", "50"], expect: .refused("ENOSYS"),
            control: .same(.reaches(past: "ENOSYS"))),
        Attack(
            "X14", "has the kernel do TLS", ["sockopt-tcp", "6", "31", "tls"], on: [.fetch, .proxied],
            expect: .refused("ENOSYS"),
            control: .same(.reaches(past: "ENOSYS"))),
        Attack(
            "X14", "repairs connections", ["sockopt-tcp", "6", "19"], on: [.fetch, .proxied],
            expect: .refused("ENOSYS"),
            control: .same(.reaches(past: "ENOSYS"))),
        Attack(
            "X14", "reaches the tables of the firewall", ["sockopt-tcp", "0", "64"], on: [.fetch, .proxied],
            expect: .refused("ENOSYS"), control: .same(.reaches(past: "ENOSYS"))),
    ]

    /// On no list.
    static let own: [Attack] = [
        Attack(
            "X15", "takes huge pages, which nobody counts", ["huge-pages"], expect: .refused("EPERM"),
            control: .same(.reaches(past: "EPERM"))),
        Attack(
            "X15", "takes huge pages by a memory file", ["huge-memory-file"], expect: .refused("EPERM"),
            control: .same(.reaches(past: "EPERM"))),
        Attack(
            "X16", "has equal pages merged, to learn what others have", ["merge-pages"],
            expect: .refused("EPERM ENOSYS"),
            control: .same(.reaches(past: "ENOSYS"))),
        Attack(
            "X16", "the same, with rubbish in the half that the kernel ignores", ["merge-pages-high"],
            expect: .refused("EPERM ENOSYS"), control: .same(.reaches(past: "ENOSYS"))),
        Attack(
            "X17", "calls what is newer than the profiles", ["new-calls"], expect: .prints("0"),
            control: .same(.atLeast(1))),
    ]
}

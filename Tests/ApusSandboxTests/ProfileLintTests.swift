import ApusCore
import Testing

/// Calls that are harmless with some arguments only: each may be allowed only by a rule that says which.
@Suite("System-call profiles: arguments")
struct ProfileLintTests {
    private typealias Condition = ProfileTests.Condition
    private typealias Rule = ProfileTests.Rule

    private static let low: UInt64 = 0xffff_ffff

    /// What the rule says of an `int`: its value, exact or in the lower half that the kernel looks at.
    private static func value(_ rule: Rule, _ argument: Int, mask: UInt64 = low) -> UInt64? {
        rule.conditions.first {
            $0.argument == argument && $0.comparison == "==" && ($0.mask == nil || $0.mask == mask)
        }?.value
    }

    private static func isMasked(_ rule: Rule, _ argument: Int, _ mask: UInt64, _ value: UInt64) -> Bool {
        rule.conditions.contains(Condition(argument: argument, mask: mask, comparison: "==", value: value))
    }

    private static func isOne(_ value: UInt64?, of values: Set<UInt64>) -> Bool {
        value.map { values.contains($0) } ?? false
    }

    private static let limits: Set<UInt64> = [0, 1, 2, 3, 5, 6, 7, 8, 9]

    /// For each call that only some arguments make harmless: whether a rule that allows it names such.
    private static let harmless: [String: @Sendable (Rule) -> Bool] = [
        "clone": { isMasked($0, 0, 0x7e02_0000, 0) },
        "socket": {
            isOne(value($0, 0), of: [2, 10]) && isOne(value($0, 1, mask: 0xf), of: [1, 2])
                && isOne(value($0, 2), of: [0, 6, 17])
        },
        "socketpair": { value($0, 0) == 1 && isOne(value($0, 1, mask: 0xf), of: [1, 5]) },
        "ioctl": { isOne(value($0, 1), of: [0x5401, 0x5413, 0x541b, 0x5421, 0x5450, 0x5451]) },
        "fcntl": { isOne(value($0, 1), of: [0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032, 1033, 1034]) },
        "prctl": { rule in
            switch value(rule, 0) {
            case 1: value(rule, 1) == 9
            case 4: value(rule, 1) == 0
            // A filter of its own, where calls are confined: it cannot have a listener.
            case 22: rule.place.hasPrefix("forks.profile") && value(rule, 1) == 2
            case let option: isOne(option, of: [2, 3, 15, 16, 21, 23, 29, 30, 36, 38, 39, 0x5356_4d41])
            }
        },
        "setsockopt": { rule in
            switch value(rule, 1) {
            case 1: isOne(value(rule, 2), of: [2, 7, 8, 9, 13, 20, 21])
            case 6: isOne(value(rule, 2), of: [1, 4, 5, 6, 18])
            case 0, 41: rule.conditions.contains { $0.argument == 2 && $0.comparison == "<" && $0.value <= 64 }
            default: false
            }
        },
        "prlimit64": { rule in
            value(rule, 0) == 0 && (value(rule, 2) == 0 || isOne(value(rule, 1), of: limits))
        },
        "setrlimit": { isOne(value($0, 0), of: limits) },
        "mmap": { isMasked($0, 3, 0x4_0000, 0) },
        "memfd_create": { isMasked($0, 1, 0x4, 0) },
        // Any one of the bits that tell all other advice from 12 and 13.
        "madvise": { rule in
            isMasked(rule, 2, 0x2, 0x2) || isMasked(rule, 2, 0x10, 0x10) || isMasked(rule, 2, 0x4, 0)
                || isMasked(rule, 2, 0x8, 0)
        },
        "arch_prctl": { isOne(value($0, 0), of: [0x1001, 0x1002, 0x1003, 0x1004]) },
        "execveat": { value($0, 0) == 1000 && value($0, 1) == 0x10 && value($0, 4) == 0x1000 },
        "execve": { _ in false },
        "personality": { value($0, 0) == low },
        "sendfile": { _ in false },
        "listen": { _ in false }, "accept": { _ in false }, "accept4": { _ in false },
    ]

    /// The driver of a device numbers its requests as it likes.
    private static func speaksToDevice(_ rule: Rule) -> Bool {
        isMasked(rule, 1, 0xff00, 0x4600) || isMasked(rule, 1, 0xffff_ff00, 0)
            || isOne(value(rule, 1), of: [0x3000_0001, 0x3000_0002])
    }

    private static func violations(_ rules: [Rule], of profile: String) -> [String] {
        rules.filter { $0.action == "allow" }.flatMap { rule in
            rule.calls.compactMap { call in
                if ["execve", "execveat"].contains(call), ProfileTests.startPrograms.contains(profile) { return nil }
                // On sockets that it was given: it may not listen on any of its own.
                if call == "accept4", profile == "egress.profile" { return nil }
                // Rubbish in the upper half of a register, which the kernel does not look at, would pass these.
                if rule.conditions.contains(where: { [">", ">=", "!="].contains($0.comparison) }) {
                    return "\(rule.place) allows \(call) by a comparison that an upper half passes"
                }
                if profile == "gpu.profile", call == "ioctl", self.speaksToDevice(rule) { return nil }
                guard let isHarmless = self.harmless[call], !isHarmless(rule) else { return nil }
                return "\(rule.place) allows \(call) with arguments that do harm"
            }
        }
    }

    @Test(
        "No profile allows a call whose arguments can do harm without saying which may not",
        arguments: ProfileTests.profiles)
    func saysWhichArguments(_ name: String) throws {
        #expect(Self.violations(try ProfileTests.rules(of: name), of: name) == [])
    }

    @Test(
        "Each kind of careless rule is noticed",
        arguments: [
            "allow clone  # all of it", "allow clone when arg0 & 0x10000000 == 0  # but one namespace",
            "allow ioctl  # x",
            "allow ioctl when arg1 == 0x5412  # types", "allow socket  # x",
            "allow socket when arg0 != 38  # all but one",
            "allow socket when arg0 == 16 and arg1 & 0xf == 3 and arg2 == 0  # netlink", "allow prctl  # x",
            "allow prctl when arg0 & 0xffffffff == 4 and arg1 == 1  # dumpable",
            "allow prctl when arg0 > 30  # many", "allow setsockopt when arg1 & 0xffffffff == 1  # filters too",
            "allow setsockopt when arg1 & 0xffffffff == 0 and arg2 < 65  # tables", "allow prlimit64  # of others",
            "allow prlimit64 when arg0 & 0xffffffff == 0 and arg1 & 0xffffffff == 4  # dumps", "allow fcntl  # x",
            "allow mmap  # huge pages", "allow memfd_create  # huge pages", "allow madvise  # merges",
            "allow arch_prctl  # x",
            "allow execve  # programs", "allow execveat when arg0 == 1000  # any path", "allow read sendfile  # two",
            "allow listen  # x", "allow personality  # x",
        ])
    func noticesCarelessRules(_ line: String) throws {
        #expect(
            Self.violations(try ProfileTests.rules(in: [line], of: "python.profile"), of: "python.profile").count == 1)
    }

    @Test("A rule that says which is not")
    func allowsCarefulRules() throws {
        let lines = [
            "allow clone when arg0 & 0x7e020000 == 0  # threads", "allow ioctl when arg1 & 0xffffffff == 0x5401  # x",
            "allow socket when arg0 == 2 and arg1 & 0xf == 1 and arg2 == 6  # TCP", "allow read  # x",
        ]
        #expect(Self.violations(try ProfileTests.rules(in: lines, of: "x"), of: "x") == [])
    }

    @Test("Every profile that the nursery loads is in the folder")
    func profilesAreThere() {
        for name in [
            "python", "native", "exec", "node", "build", "fetch", "egress", "gpu", "python-proxy", "native-proxy",
            "exec-proxy",
            "node-proxy",
        ] {
            #expect(ProfileTests.profiles.contains("\(name).profile"))
        }
    }
}

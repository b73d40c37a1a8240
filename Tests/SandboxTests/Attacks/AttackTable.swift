import ApusCore
import ApusSandbox

/// Every attempt, in the order of the list of attacks: resources (A), lifetime (B), files (C), processes and memory (D), the
/// kernel (E), the network (F), the protocol (G), and what is on no list (X). A further one is a row.
enum AttackTable {
    static let all: [Attack] =
        resources + files + processes + kernel + calls + network + own

    /// A folder of the host that control runs write to.
    static let host = "\(Laboratory.folder)/host"

    /// Tests of other kinds that make an attempt of the list: those that need a process of the host, a wall clock, or the server.
    /// A test checks that they exist.
    static let elsewhere: [(numbers: [String], test: String)] = [
        (["A14"], "A function that spins is throttled to its share of a CPU, and one that need not be is not"),
        (["A15"], "aHandlerThatIgnoresItsDeadlineAndCancelIsKilled"),
        (["A16", "B24", "B25"], "What ignores every signal still ends when it is killed"),
        (["A21", "C44"], "The next occupant of a slot sees nothing of the one before"),
        (["B23"], "A daemon ends with the sandbox that made it"),
        (["D54"], "A process of the host cannot be traced, written, signalled or even opened"),
        (["D51"], "The environment holds what the order says and nothing of the server's"),
        (["D62"], "Malformed requests are refused and harm nobody"),
        (["F88", "F92"], "Nobody is reached by TCP, by either version of IP, or by an abstract socket of the host"),
        (["G100"], "garbageIsAProtocolError"),
        (["G101"], "aFrameThatStaysIncompleteEndsItsWorker"),
        (["G102"], "aFloodOfLogFramesIsBoundedAndItsAttemptSucceeds"),
        (["G103"], "printedLinesComeWithTheirInvocationWithinBounds"),
        (["G106"], "aWorkerThatDoesNotReadIsEndedWhenTooMuchWaitsForIt"),
        (["G107"], "aWorkerThatLeavesBeforeItIsReadySaysWhatItLastWrote"),
        (["G114"], "Sealing gives everything to the server, read-only, without setuid, and removes what was partial"),
    ]

    /// What of the list is not attempted, and why.
    static let omitted: [String: String] = [
        "A19": "the disk's bandwidth is not bounded: a known limit",
        "B27":
            "no file system in user space can be mounted and userfaultfd is refused (E70): there is nothing to wait in",
        "C46": "when shared pages are in memory can be seen: a known limit",
        "E86": "restartable sequences and signal stacks are allowed: they act on the process that asks alone",
        "E87": "clocks and cycle counters can be read: a known limit",
        "F97": "there is no egress process yet: profiles have no network, or the host's (fetch)",
        "F98": "there is no egress process yet",
        "G108": "identifiers are the server's own: a worker names streams only, and a wrong one is a protocol error",
        "G111": "slots are shared first come, first served: a bound of each function is its scale",
    ]

    /// The numbers of the list, without the GPU's.
    static let numbers: [String] =
        list("A", [1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 14, 15, 16, 18, 19, 21]) + list("B", [23, 24, 25, 27, 30])
        + list("C", [32, 33, 35, 36, 37, 38, 39, 40, 44, 46, 47, 49]) + list("D", [51, 52, 53, 54, 56, 60, 62])
        + list("E", [64, 65, 66, 67, 68, 70, 71, 72, 73, 74, 75, 77, 78, 80, 81, 82, 83, 86, 87])
        + list("F", [88, 89, 90, 91, 92, 93, 94, 95, 97, 98])
        + list("G", [100, 101, 102, 103, 106, 107, 108, 111, 114])

    private static func list(_ letter: String, _ numbers: [Int]) -> [String] { numbers.map { "\(letter)\($0)" } }
}

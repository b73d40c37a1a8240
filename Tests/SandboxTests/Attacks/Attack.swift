import ApusCore
import ApusSandbox
import Glibc
import Testing

/// One attempt: what it is, where it is made, what whoever makes it must see, and how it is shown that it would work.
struct Attack: Sendable, CustomTestStringConvertible {
    enum Outcome: Sendable {
        /// It failed with one of these errors.
        case refused(String)
        /// The kernel ended the process: a trip-wire.
        case killed
        case dies(by: CInt)
        /// The first line it printed.
        case prints(String)
        case atMost(Int)
        case atLeast(Int)
        case works
        /// It reached the kernel, whatever that answered.
        case asked
        /// It reached the kernel: it worked, or failed with another error than this one, which the filter gives.
        case reaches(past: String)
        /// It, or its whole sandbox, was ended for the memory it took.
        case outOfMemory
    }

    /// The same attempt where no sandbox stands in its way.
    enum Control: Sendable {
        case same(Outcome)
        case run([String], Outcome)
        /// There is none, for this reason.
        case none(String)
    }

    /// What becomes of it where a layer is missing, which is less.
    struct Loss: Sendable {
        var layer: IsolationLayer
        /// Other words than the attempt's own, where these would show nothing.
        var program: [String]?
        var expected: Outcome
        var reason: String
    }

    /// The letter and number in the list of attacks; X for those that are on no list.
    var number: String
    var name: String
    /// The probe's words.
    var program: [String]
    var profiles: Set<AttackProfile>
    var expected: Outcome
    /// Where it is met otherwise.
    var exceptions: [AttackProfile: Outcome]
    var control: Control
    /// Set for an attempt that must have a sandbox to itself.
    var bounds: SandboxBounds?
    private(set) var losses: [Loss] = []

    init(
        _ number: String, _ name: String, _ program: [String], on profiles: Set<AttackProfile> = AttackProfile.all,
        expect expected: Outcome, except exceptions: [AttackProfile: Outcome] = [:],
        control: Control = .same(.works), bounds: SandboxBounds? = nil
    ) {
        self.number = number
        self.name = name
        self.program = program
        self.profiles = profiles
        self.expected = expected
        self.exceptions = exceptions
        self.control = control
        self.bounds = bounds
    }

    /// The same, with what is lost where that layer is missing.
    func losing(_ layer: IsolationLayer, _ program: [String]? = nil, expect expected: Outcome, because reason: String)
        -> Attack
    {
        var attack = self
        attack.losses.append(Loss(layer: layer, program: program, expected: expected, reason: reason))
        return attack
    }

    /// As it is to be on a host that lacks these layers.
    func `where`(_ missing: Set<IsolationLayer>) -> Attack {
        guard let loss = self.losses.first(where: { missing.contains($0.layer) }) else { return self }
        var attack = self
        attack.program = loss.program ?? self.program
        attack.expected = loss.expected
        return attack
    }

    var testDescription: String { "\(self.number) \(self.name)" }

    func outcome(on profile: AttackProfile) -> Outcome { self.exceptions[profile] ?? self.expected }

    /// It tries many things at once.
    var isSweep: Bool { ["sockets", "prctl-sweep", "ioctl-sweep", "new-calls"].contains(self.program.first ?? "") }
}

/// What became of an attempt: a line of the probe's `batch`.
struct Seen: Sendable, CustomStringConvertible {
    var isExit: Bool
    var code: CInt
    var line: String
    var description: String { "\(self.isExit ? "exit" : "signal") \(self.code): '\(self.line)'" }

    /// The attempts' numbers and what became of them, from all that `batch` printed.
    static func parse(_ output: String) -> [Int: Seen] {
        var all: [Int: Seen] = [:]
        for line in output.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false)
            guard words.count >= 3, let number = Int(words[0]), let code = CInt(words[2]) else { continue }
            all[number] = Seen(
                isExit: words[1] == "exit", code: code, line: words.count == 4 ? String(words[3]) : "")
        }
        return all
    }
}

extension Attack.Outcome {
    /// - Parameter isOutOfMemory: what the sandbox's exit says; false for a run without one.
    func holds(_ seen: Seen?, isOutOfMemory: Bool = false) -> Bool {
        if case .outOfMemory = self { return isOutOfMemory }
        guard let seen else { return false }
        let error = seen.line.hasPrefix("errno ") ? seen.line.split(separator: " ").last.map(String.init) : nil
        let isDone = seen.isExit && seen.code == 0
        return switch self {
        case .refused(let errors): isDone && error.map { errors.split(separator: " ").contains(Substring($0)) } ?? false
        case .killed: !seen.isExit && seen.code == SIGSYS
        case .dies(let signal): !seen.isExit && seen.code == signal
        case .prints(let text): isDone && seen.line == text
        case .atMost(let bound): isDone && (Int(seen.line).map { $0 <= bound } ?? false)
        case .atLeast(let bound): isDone && (Int(seen.line).map { $0 >= bound } ?? false)
        case .works: isDone && seen.line == "ok"
        case .asked: isDone && (seen.line == "ok" || error != nil)
        case .reaches(let filtered): isDone && (seen.line == "ok" || (error != nil && error != filtered))
        case .outOfMemory: false
        }
    }
}

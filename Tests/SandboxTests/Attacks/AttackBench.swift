import ApusCore
import ApusSandbox
import Glibc
import ApusTestSupport
import Testing

/// Makes attempts and looks at all that a sandbox promises: what the attacker sees, that the host is as it was, and that
/// a neighbour answers meanwhile.
struct AttackBench {
    let laboratory: Laboratory

    /// What sandboxes of many attempts have; those that need other bounds say so.
    static let bounds = SandboxBounds(memoryBytes: 256 << 20, processes: 64, scratchBytes: 8 << 20, openFiles: 64)

    func check(_ every: [Attack], on profile: AttackProfile, bounds: SandboxBounds = Self.bounds) async throws {
        let missing = Set(self.laboratory.nursery.report.missing)
        let all = every.map { $0.where(missing) }
        // What tries everything there is comes last: it would fill the audit's kinds.
        let attacks = all.filter { !$0.isSweep } + all.filter(\.isSweep)
        let list = Self.write(attacks.map(\.program), as: "attacks-\(profile.rawValue)", in: self.laboratory.data)
        // What an earlier run of the tests left is let go of first.
        let report = self.laboratory.nursery.report
        try #require(waitUntil(seconds: 10) { HostState.now(report).processes.isEmpty }, "nobody else uses these uids")
        let before = HostState.now(report)
        let neighbour = try await Neighbour(self.laboratory)
        let run = try await profile.run(list, in: self.laboratory, bounds: bounds)
        let answers = await neighbour.end()
        let seen = Seen.parse(run.output)
        for (number, attack) in attacks.enumerated() {
            #expect(
                attack.outcome(on: profile).holds(seen[number], isOutOfMemory: run.exit.isOutOfMemory),
                "\(attack.number) \(attack.name): \(seen[number]?.description ?? "nothing")")
        }
        #expect(run.exit.failedStage == nil, "\(run.exit) \(run.errors)")
        #expect(answers > 0, "the neighbour answered \(answers) times")
        #expect(HostState.now(self.laboratory.nursery.report) == before, "the host is as it was")
        self.checkAudit(of: attacks, on: profile, run.exit)
    }

    /// What was refused by a rule that profiles report is in the audit.
    private func checkAudit(of attacks: [Attack], on profile: AttackProfile, _ exit: WorkerExit) {
        guard let audit = self.laboratory.nursery.report.audit else {
            Issue.record("the nursery has no audit")
            return
        }
        #expect(!exit.isUnaudited)
        var count = 0
        for attack in attacks {
            guard let denial = attack.audited(on: profile, Set(audit.callNames)) else { continue }
            count += 1
            #expect(
                exit.denials.has(denial),
                "\(attack.number) \(attack.name): the audit lacks \(denial.text); it has \(exit.denials)")
        }
        #expect(count > 50 || attacks.count < 50, "\(count) of \(attacks.count) attempts are audited")
    }

    /// The same attempts as root without a sandbox, in namespaces of their own.
    static func control(_ attacks: [Attack]) throws {
        var controls: [(Attack, [String], Attack.Outcome)] = []
        for attack in attacks {
            switch attack.control {
            case .same(let outcome): controls.append((attack, attack.program, outcome))
            case .run(let words, let outcome): controls.append((attack, words, outcome))
            case .none(let reason): #expect(!reason.isEmpty)
            }
        }
        _ = self.write(controls.map(\.1), as: "controls", in: Laboratory.dataDirectory)
        let folder = "\(Laboratory.folder)/host"
        let run = Laboratory.control([
            "unconfined", "\(Laboratory.dataDirectory)/bundles/\(Laboratory.bundle)/controls", folder,
        ])
        let seen = Seen.parse(run.all)
        for (number, (attack, words, outcome)) in controls.enumerated() {
            #expect(
                outcome.holds(seen[number]),
                "\(attack.number) \(attack.name) without a sandbox, \(words): \(seen[number]?.description ?? "nothing")"
            )
        }
    }

    /// - Returns: where the sandbox sees it.
    private static func write(_ programs: [[String]], as name: String, in data: String) -> String {
        let text = programs.map { $0.joined(separator: "\t") + "\n" }.joined()
        TestFiles.write(text, to: "\(data)/bundles/\(Laboratory.bundle)/\(name)")
        return "/function/\(name)"
    }
}

/// A sandbox beside the attacked one that is called again and again.
final class Neighbour: Sendable {
    private let laboratory: Laboratory
    private let worker: LaunchedWorker
    private let calls: Task<Int, Never>

    init(_ laboratory: Laboratory) async throws {
        self.laboratory = laboratory
        let worker = try await laboratory.launch(laboratory.order(["echo"]))
        self.worker = worker
        self.calls = Task.detached {
            var answers = 0
            while !Task.isCancelled || answers == 0 {
                let word = "call \(answers)"
                let isSent = write(worker.toWorker, word, word.utf8.count) == word.utf8.count
                let answer = isSent ? Laboratory.await(worker.fromWorker) : nil
                #expect(answer == word, "the neighbour is disturbed")
                guard answer == word else { return 0 }
                answers += 1
                // Room for the attacks on few cores. Cancelled, it returns at once, which is what ends the loop.
                try? await Task.sleep(for: .milliseconds(2))
            }
            return answers
        }
    }

    /// - Returns: how many calls it answered; 0 when one was not.
    func end() async -> Int {
        self.calls.cancel()
        let answers = await self.calls.value
        await self.laboratory.kill(self.worker)
        _ = await self.laboratory.exit(of: self.worker)
        Laboratory.close(self.worker)
        return answers
    }
}

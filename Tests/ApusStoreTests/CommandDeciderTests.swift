import ApusCore
import ApusTestSupport
import Testing

@testable import ApusStore

@Suite struct CommandDeciderTests {
    private static func command(_ number: UInt64, deadline: Int64 = 60) -> Command {
        Command(
            id: CommandID(high: 1, low: number), deadline: Timestamp.zero + .seconds(deadline), kind: .control,
            who: "default/ann", payload: [UInt8(truncatingIfNeeded: number)])
    }

    private static func answer(_ command: Command, at offset: Offset, second: Int64 = 0) -> CommandAnswer {
        CommandAnswer(
            id: command.id, who: command.who, offset: offset, decided: Timestamp.zero + .seconds(second), records: 1,
            outcome: .done(command.payload))
    }

    private static func fresh() -> CommandDecider {
        var decider = CommandDecider()
        decider.restored()
        return decider
    }

    @Test func nothingIsDecidedBeforeTheAnswersWereRead() {
        var decider = CommandDecider()
        #expect(decider.next(Self.command(1), at: 0, now: .zero) == nil)
        decider.restored()
        #expect(decider.next(Self.command(1), at: 0, now: .zero) == .decide(Self.command(1)))
        // One at a time.
        #expect(decider.next(Self.command(2), at: 1, now: .zero) == nil)
    }

    @Test func theSameIdGetsTheSameAnswerAlsoFromTheNextOwner() {
        let command = Self.command(1)
        var decider = Self.fresh()
        _ = decider.next(command, at: 4, now: .zero)
        let answer = Self.answer(command, at: 4)
        decider.written(answer, now: .zero)
        var again = answer
        again.offset = 9
        #expect(decider.next(command, at: 9, now: .zero) == .answer(again))
        var next = CommandDecider()
        next.restore(answer, now: .zero)
        next.restored()
        #expect(next.position == 5)
        #expect(next.next(command, at: 4, now: .zero) == nil)
        #expect(next.next(command, at: 9, now: .zero) == .answer(again))
    }

    @Test func pastItsDeadlineACommandIsExpiredAndOneThatLiesFarAheadToo() {
        var decider = Self.fresh()
        for (offset, deadline) in ([10, 131] as [Int64]).enumerated() {
            let command = Self.command(UInt64(offset), deadline: deadline)
            guard case .answer(let answer) = decider.next(command, at: Offset(offset), now: .zero + .seconds(10)),
                case .refused(.expired, _) = answer.outcome
            else {
                Issue.record("it was not refused")
                continue
            }
            decider.written(answer, now: .zero)
        }
        #expect(decider.position == 2)
    }

    @Test func whatCouldNotBeWrittenComesAgain() {
        var decider = Self.fresh()
        #expect(decider.next(Self.command(1), at: 0, now: .zero) != nil)
        decider.failed()
        #expect(decider.position == 0)
        #expect(decider.next(Self.command(1), at: 0, now: .zero) == .decide(Self.command(1)))
    }

    @Test func aRecordThatIsNoneIsPassedOver() {
        var decider = Self.fresh()
        decider.pass(3)
        #expect(decider.position == 4)
        #expect(decider.next(Self.command(1), at: 3, now: .zero) == nil)
    }

    @Test func answersAreForgottenAfterAnHourAndNotBefore() {
        let command = Self.command(1)
        var decider = Self.fresh()
        _ = decider.next(command, at: 0, now: .zero)
        decider.written(Self.answer(command, at: 0), now: .zero)
        _ = decider.next(Self.command(2, deadline: 3_599), at: 1, now: .zero + .seconds(3_598))
        decider.failed()
        #expect(decider.answerCount == 1)
        _ = decider.next(Self.command(2, deadline: 3_650), at: 1, now: .zero + .seconds(3_600))
        #expect(decider.answerCount == 0)
    }

    @Test func moreThanCanBeRememberedIsRefusedAndMayBeAskedAgain() {
        var decider = CommandDecider()
        for number in 0..<Limits.ControlCommands.answers {
            let command = Self.command(UInt64(number))
            decider.restore(Self.answer(command, at: Offset(number)), now: .zero)
        }
        decider.restored()
        let offset = Offset(Limits.ControlCommands.answers)
        let command = Self.command(UInt64(offset))
        guard case .answer(let answer) = decider.next(command, at: offset, now: .zero) else {
            Issue.record("it was decided")
            return
        }
        guard case .refused(.overloaded, _) = answer.outcome else {
            Issue.record("another reason: \(answer.outcome)")
            return
        }
        decider.written(answer, now: .zero)
        #expect(decider.answerCount == Limits.ControlCommands.answers)
        let later = Self.command(UInt64(offset), deadline: 3_700)
        #expect(decider.next(later, at: offset + 1, now: .zero + .seconds(3_650)) == .decide(later))
    }

    @Test func theBytesOfAnswersAreBounded() {
        var decider = CommandDecider()
        let payload = [UInt8](repeating: 1, count: 1 << 20)
        for number in 0..<(Limits.ControlCommands.answerBytes >> 20) {
            var answer = Self.answer(Self.command(UInt64(number)), at: Offset(number))
            answer.outcome = .done(payload)
            decider.restore(answer, now: .zero)
        }
        decider.restored()
        guard case .answer = decider.next(Self.command(100), at: 100, now: .zero) else {
            Issue.record("it was decided")
            return
        }
    }

    // MARK: owners that come and go

    /// A log with commands and answers, an owner that may be replaced at any moment, and callers that ask again.
    private struct World {
        var random: SeededGenerator
        var now = Timestamp.zero
        var commands: [Command] = []
        var answers: [CommandAnswer] = []
        /// When each was applied.
        var applied: [CommandID: [Timestamp]] = [:]
        var owner = CommandDecider()
        var under: (command: Command, answer: CommandAnswer, applies: Bool)?
        var ids: [CommandID] = []

        init(seed: UInt64) {
            self.random = SeededGenerator(seed: seed)
            self.owner.restored()
        }

        mutating func step() {
            switch Int.random(in: 0..<12, using: &self.random) {
            case 0...3: self.ask()
            case 4...6: self.read()
            case 7...8: self.commit(hears: true)
            // Committed, and the owner dies before it hears of it.
            case 9: self.commit(hears: false)
            case 10:
                self.under = nil
                self.owner.failed()
            default: self.now = self.now + .seconds(Int64.random(in: 0...30, using: &self.random))
            }
            if Int.random(in: 0..<20, using: &self.random) == 0 { self.takeOver() }
        }

        mutating func ask() {
            let id: CommandID
            if let known = self.ids.randomElement(using: &self.random), Bool.random(using: &self.random) {
                id = known
            } else {
                id = CommandID(high: 0, low: UInt64(self.ids.count))
                self.ids.append(id)
            }
            self.commands.append(
                Command(
                    id: id, deadline: self.now + .seconds(Int64.random(in: 1...60, using: &self.random)),
                    kind: .control,
                    who: "a", payload: []))
        }

        mutating func read() {
            guard self.under == nil, self.owner.position < Offset(self.commands.count) else { return }
            let offset = self.owner.position
            let command = self.commands[Int(offset)]
            switch self.owner.next(command, at: offset, now: self.now) {
            case .decide:
                // The result tells decisions apart: a second one would be another.
                let answer = CommandAnswer(
                    id: command.id, who: "a", offset: offset, decided: self.now,
                    outcome: .done(Array("\(offset)".utf8)))
                self.under = (command, answer, true)
            case .answer(let answer): self.under = (command, answer, false)
            case nil: break
            }
        }

        mutating func commit(hears: Bool) {
            guard let (command, answer, applies) = self.under else { return }
            self.answers.append(answer)
            // What was decided in time may be written a moment later.
            if applies { self.applied[command.id, default: []].append(answer.decided) }
            self.under = nil
            if hears { self.owner.written(answer, now: self.now) } else { self.takeOver() }
        }

        mutating func takeOver() {
            // Whatever the former owner had open is undone by the next one's start.
            self.under = nil
            self.owner = CommandDecider()
            for answer in self.answers where answer.decided + Limits.ControlCommands.kept > self.now {
                self.owner.restore(answer, now: self.now)
            }
            self.owner.restored()
        }

        mutating func finish() {
            while self.owner.position < Offset(self.commands.count) {
                self.read()
                self.commit(hears: true)
            }
        }
    }

    @Test(arguments: 0..<300) func eachCommandIsDecidedOnceWhateverHappensToItsOwners(seed: Int) {
        var world = World(seed: UInt64(seed))
        for _ in 0..<400 { world.step() }
        world.finish()
        for id in world.ids {
            let applied = world.applied[id] ?? []
            #expect(applied.count <= 1, "seed \(seed): \(id) was applied \(applied.count) times")
            let answers = world.answers.filter { $0.id == id }
            #expect(!answers.isEmpty, "seed \(seed): \(id) was never answered")
            // An id is asked for less than an hour here: one answer, whoever asks.
            #expect(Set(answers.map { "\($0.outcome)" }).count == 1, "seed \(seed): \(id) got two answers")
        }
        for (id, times) in world.applied {
            let last = world.commands.filter { $0.id == id }.map(\.deadline).max() ?? .zero
            #expect(times.allSatisfy { $0 < last }, "seed \(seed): \(id) was applied past its deadline")
        }
        #expect(world.owner.position == Offset(world.commands.count))
    }
}

import ApusCore
import Testing

@testable import ApusStore

@Suite struct CommandWaitsTests {
    private let id = CommandID(high: 1, low: 2)

    private func answer(records: Int, through: Offset = -1, _ outcome: CommandAnswer.Outcome = .done([7]))
        -> CommandAnswer
    {
        CommandAnswer(
            id: self.id, who: "a", offset: 0, decided: .zero, records: records, through: through, outcome: outcome)
    }

    @Test func whoeverIsAnsweredFindsWhatWasWritten() throws {
        var waits = CommandWaits()
        try waits.ask(self.id, deadline: .zero + .seconds(1))
        #expect(waits.answered(self.answer(records: 2)).isEmpty)
        waits.saw(self.id, at: 5)
        #expect(waits.applied(to: 6).isEmpty)
        waits.saw(self.id, at: 8)
        #expect(
            waits.applied(to: 9) == [CommandWaits.Ended(id: self.id, result: .done([7], through: 8))])
        #expect(waits.count == 0)
    }

    @Test func theRecordsMayComeBeforeTheAnswer() throws {
        var waits = CommandWaits()
        try waits.ask(self.id, deadline: .zero + .seconds(1))
        waits.saw(self.id, at: 5)
        #expect(waits.applied(to: 6).isEmpty)
        #expect(
            waits.answered(self.answer(records: 1))
                == [CommandWaits.Ended(id: self.id, result: .done([7], through: 5))])
    }

    @Test func whatChangedNothingIsAnsweredOnceItsReaderSeesWhatTheDecisionSaw() throws {
        var waits = CommandWaits()
        try waits.ask(self.id, deadline: .zero + .seconds(1))
        #expect(waits.answered(self.answer(records: 0, through: 3)).isEmpty)
        #expect(waits.applied(to: 3).isEmpty)
        #expect(waits.applied(to: 4).map(\.result) == [.done([7], through: 3)])
    }

    @Test func aRefusalWaitsForNothing() throws {
        var waits = CommandWaits()
        try waits.ask(self.id, deadline: .zero + .seconds(1))
        #expect(
            waits.answered(self.answer(records: 0, through: 9, .refused(.conflict, "no"))).map(\.result) == [
                .refused(.conflict, "no")
            ])
    }

    @Test func pastTheDeadlineOnlyTheIdIsLeft() throws {
        var waits = CommandWaits()
        try waits.ask(self.id, deadline: .zero + .seconds(1))
        #expect(waits.expire(now: .zero).isEmpty)
        #expect(waits.expire(now: .zero + .seconds(1)).map(\.result) == [.unanswered])
        #expect(waits.answered(self.answer(records: 0)).isEmpty)
    }

    @Test func thereIsABoundToThoseWhoWait() throws {
        var waits = CommandWaits()
        for number in 0..<Limits.ControlCommands.waiting {
            try waits.ask(CommandID(high: 0, low: UInt64(number)), deadline: .zero)
        }
        #expect(throws: ApusError.self) { try waits.ask(self.id, deadline: .zero) }
        #expect(waits.stop().count == Limits.ControlCommands.waiting)
    }
}

import ApusCore
import Testing

@testable import ApusLog

/// When a failure that may pass by itself is told.
struct PassingTroubleTests {
    private enum Step {
        case fails(after: TimeSpan)
        case refused
        case passes
    }

    private let bound = Limits.Kafka.troubleUntold

    /// - Returns: what of it is told.
    private func told(_ steps: [Step]) -> [Bool] {
        var trouble = PassingTrouble()
        let start = Timestamp(milliseconds: 1_000)
        return steps.map { step in
            switch step {
            case .fails(let span): trouble.failed(isPassing: true, now: start + span)
            case .refused: trouble.failed(isPassing: false, now: start)
            case .passes: trouble.passed()
            }
        }
    }

    @Test func whatPassesInTimeIsNeverTold() {
        let almost = TimeSpan.milliseconds(self.bound.milliseconds - 1)
        #expect(self.told([.fails(after: .zero), .fails(after: almost), .passes]) == [false, false, false])
        // The next one has all the time again.
        #expect(self.told([.fails(after: .zero), .passes, .fails(after: almost), .fails(after: self.bound)]) == [false, false, false, false])
    }

    @Test func whatLastsIsToldOnceAndItsEndToo() {
        let steps: [Step] = [.fails(after: .zero), .fails(after: self.bound), .fails(after: .seconds(600)), .passes, .passes]
        #expect(self.told(steps) == [false, true, false, true, false])
    }

    @Test func whatDoesNotPassByItselfIsToldAtOnce() {
        #expect(self.told([.refused, .refused, .fails(after: self.bound), .passes]) == [true, false, false, true])
        #expect(self.told([.fails(after: .zero), .refused]) == [false, true])
    }
}

import Testing

@testable import ApusEngine

struct DeviceLedgerTests {
    @Test func aPartIsNeverGivenAway() {
        var ledger = DeviceLedger(capacity: 1_000)
        #expect(ledger.usable == 950)
        let answer1 = ledger.promise(951, to: 1)
        #expect(!answer1)
        let answer2 = ledger.promise(950, to: 1)
        #expect(answer2 && ledger.free == 0 && ledger.fault() == nil)
    }

    @Test func memoryThatNobodyAnswersForBlocksRoom() {
        var ledger = DeviceLedger(capacity: 1_000)
        let answer3 = ledger.promise(300, to: 1)
        #expect(answer3)
        ledger.observed(used: 700, attributed: 300)
        #expect(ledger.unattributedBytes == 400 && ledger.free == 250)
        let answer4 = ledger.promise(251, to: 2)
        #expect(!answer4)
        ledger.observed(used: 300, attributed: 300)
        let answer5 = ledger.promise(251, to: 2)
        #expect(answer5)
    }

    @Test func aSmallerPromiseIsNeverRefused() {
        var ledger = DeviceLedger(capacity: 1_000)
        let answer6 = ledger.promise(900, to: 1)
        #expect(answer6)
        ledger.becomes(.quarantined("an error"))
        let answer7 = ledger.promise(10, to: 2)
        #expect(ledger.free == 0 && !answer7)
        let answer8 = ledger.promise(100, to: 1)
        #expect(answer8 && ledger.promisedBytes == 100)
    }

    @Test func startsFollowEachOther() {
        var ledger = DeviceLedger(capacity: 1_000)
        let answer9 = ledger.begin(1)
        let answer10 = ledger.begin(2)
        #expect(answer9 && !answer10)
        ledger.ended(2)
        let answer11 = ledger.begin(2)
        #expect(!answer11)
        ledger.ended(1)
        let answer12 = ledger.begin(2)
        #expect(answer12)
        ledger.release(2)
        let answer13 = ledger.begin(3)
        #expect(answer13)
    }

    @Test func claimsAndLeavingMakeTheRoomThatIsPlannedWith() {
        var ledger = DeviceLedger(capacity: 1_000)
        let answer14 = ledger.promise(900, to: 1)
        #expect(answer14)
        #expect(ledger.roomToClaim == 50)
        ledger.leaves(900)
        #expect(ledger.roomToClaim == 950 && ledger.free == 50)
        ledger.claim(800)
        #expect(ledger.roomToClaim == 150)
        ledger.left(900)
        ledger.release(1)
        #expect(ledger.roomToClaim == 150 && ledger.free == 950)
        ledger.unclaim(800)
        let answer15 = ledger.promise(800, to: 2)
        #expect(answer15 && ledger.fault() == nil)
    }
}

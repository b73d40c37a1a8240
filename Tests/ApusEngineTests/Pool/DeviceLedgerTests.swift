import Testing

@testable import ApusEngine

struct DeviceLedgerTests {
    @Test func aPartIsNeverGivenAway() {
        var ledger = DeviceLedger(capacity: 1_000)
        #expect(ledger.usable == 950)
        #expect(!ledger.promise(951, to: 1))
        #expect(ledger.promise(950, to: 1) && ledger.free == 0 && ledger.fault() == nil)
    }

    @Test func memoryThatNobodyAnswersForBlocksRoom() {
        var ledger = DeviceLedger(capacity: 1_000)
        #expect(ledger.promise(300, to: 1))
        ledger.observed(used: 700, attributed: 300)
        #expect(ledger.unattributedBytes == 400 && ledger.free == 250)
        #expect(!ledger.promise(251, to: 2))
        ledger.observed(used: 300, attributed: 300)
        #expect(ledger.promise(251, to: 2))
    }

    @Test func aSmallerPromiseIsNeverRefused() {
        var ledger = DeviceLedger(capacity: 1_000)
        #expect(ledger.promise(900, to: 1))
        ledger.becomes(.quarantined("an error"))
        #expect(ledger.free == 0 && !ledger.promise(10, to: 2))
        #expect(ledger.promise(100, to: 1) && ledger.promisedBytes == 100)
    }

    @Test func startsFollowEachOther() {
        var ledger = DeviceLedger(capacity: 1_000)
        #expect(ledger.begin(1) && !ledger.begin(2))
        ledger.ended(2)
        #expect(!ledger.begin(2))
        ledger.ended(1)
        #expect(ledger.begin(2))
        ledger.release(2)
        #expect(ledger.begin(3))
    }

    @Test func claimsAndLeavingMakeTheRoomThatIsPlannedWith() {
        var ledger = DeviceLedger(capacity: 1_000)
        #expect(ledger.promise(900, to: 1))
        #expect(ledger.roomToClaim == 50)
        ledger.leaves(900)
        #expect(ledger.roomToClaim == 950 && ledger.free == 50)
        ledger.claim(800)
        #expect(ledger.roomToClaim == 150)
        ledger.left(900)
        ledger.release(1)
        #expect(ledger.roomToClaim == 150 && ledger.free == 950)
        ledger.unclaim(800)
        #expect(ledger.promise(800, to: 2) && ledger.fault() == nil)
    }
}

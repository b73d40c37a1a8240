import ApusCore
import Testing

@testable import ApusLog

/// When entries that follow their outputs are written, and when outputs may be handed over.
struct PendingLedgerTests {
    private static let start = Timestamp(milliseconds: 1_000_000)

    private static func at(_ milliseconds: Int64) -> Timestamp { Self.start + .milliseconds(milliseconds) }

    private static func opened() -> PendingLedger<String, Int> {
        var ledger = PendingLedger<String, Int>(proof: .seconds(10))
        ledger.begin(now: Self.start)
        return ledger
    }

    @Test func entriesWaitForOthersUpToTheirBoundAndTheNewestOfAKeyCounts() {
        var ledger = Self.opened()
        #expect(ledger.due == nil && ledger.isEmpty)
        ledger.add(1, of: "a", now: Self.at(5))
        ledger.add(2, of: "b", now: Self.at(100))
        ledger.add(3, of: "a", now: Self.at(120))
        let due = Self.at(5 + Limits.Kafka.ledgerMilliseconds)
        #expect(ledger.due == due)
        #expect(!ledger.isDue(now: Self.at(4 + Limits.Kafka.ledgerMilliseconds)))
        #expect(ledger.isDue(now: due))
        #expect(ledger.take() == ["a": 3, "b": 2])
        #expect(ledger.due == nil && !ledger.isEmpty)
        ledger.committed(askedAt: due)
        #expect(ledger.isEmpty)
    }

    @Test func whatCameDuringAWriteIsWrittenAfterIt() {
        var ledger = Self.opened()
        ledger.add(1, of: "a", now: Self.at(0))
        _ = ledger.take()
        ledger.add(2, of: "a", now: Self.at(200))
        #expect(ledger.due == nil, "one write at a time")
        ledger.committed(askedAt: Self.at(150))
        #expect(ledger.due == Self.at(200 + Limits.Kafka.ledgerMilliseconds))
        #expect(ledger.take() == ["a": 2])
    }

    @Test func aWriteThatFailedIsTriedAgainAfterARestWithWhatCameMeanwhile() {
        var ledger = Self.opened()
        ledger.add(1, of: "a", now: Self.at(0))
        ledger.add(1, of: "b", now: Self.at(0))
        _ = ledger.take()
        ledger.add(2, of: "b", now: Self.at(160))
        ledger.failed(now: Self.at(170))
        let due = Self.at(170 + Limits.Kafka.ledgerRestMilliseconds)
        #expect(!ledger.isDue(now: Self.at(169 + Limits.Kafka.ledgerRestMilliseconds)))
        #expect(ledger.isDue(now: due))
        #expect(ledger.take() == ["a": 1, "b": 2])
    }

    @Test func outputsAreHandedOverOnlyWhileTheLastCommitIsYoung() {
        var ledger = Self.opened()
        #expect(ledger.mayHandOver(now: Self.at(9_999)))
        #expect(!ledger.mayHandOver(now: Self.at(10_000)))
        // A proof: a commit of nothing.
        #expect(ledger.take().isEmpty)
        // The node was stopped before it heard: what counts is when it asked.
        ledger.committed(askedAt: Self.at(2_000))
        #expect(!ledger.mayHandOver(now: Self.at(12_000)))
        #expect(ledger.mayHandOver(now: Self.at(11_999)))
        // One that failed proves nothing.
        _ = ledger.take()
        ledger.failed(now: Self.at(13_000))
        #expect(!ledger.mayHandOver(now: Self.at(13_000)))
    }

    @Test func aNewTermKnowsNothingOfTheOneBefore() {
        var ledger = Self.opened()
        ledger.add(1, of: "a", now: Self.at(0))
        _ = ledger.take()
        ledger.add(2, of: "b", now: Self.at(1))
        ledger.begin(now: Self.at(50_000))
        #expect(ledger.isEmpty && ledger.due == nil)
        #expect(ledger.mayHandOver(now: Self.at(59_999)))
    }
}

import ApusCore
import Testing

@testable import ApusLog

/// Which positions groups are to show, and when.
struct PositionTableTests {
    private let share = Share(.cpu, 2)

    private func position(_ offset: Offset?, partition: Int = 0, group: String = "g") throws -> GroupPosition {
        let topic = try LogFixture.topic("t")
        return GroupPosition(group: group, place: TopicPartition(topic, partition), offset: offset)
    }

    private func at(_ span: TimeSpan) -> Timestamp { Timestamp(milliseconds: 1_000) + span }

    @Test func whatMovedIsWrittenOnceAndTheNewestOfIt() throws {
        var table = PositionTable()
        table.opens(self.share)
        table.committed(try self.position(3), of: self.share)
        table.committed(try self.position(5), of: self.share)
        #expect(table.due(now: self.at(.zero)) == [try self.position(5)])
        // It moved on while it was written.
        table.committed(try self.position(6), of: self.share)
        table.wrote([try self.position(5)], now: self.at(.zero))
        #expect(table.due(now: self.at(.zero)) == [try self.position(6)])
        table.wrote([try self.position(6)], now: self.at(.zero))
        #expect(table.due(now: self.at(.zero)).isEmpty)
    }

    /// Behaviour 14: what does not move is written again long before brokers forget it, and not before a day has passed.
    @Test func whatDoesNotMoveIsWrittenAgainBeforeItExpires() throws {
        var table = PositionTable()
        table.opens(self.share)
        table.committed(try self.position(5), of: self.share)
        table.wrote([try self.position(5)], now: self.at(.zero))
        #expect(table.due(now: self.at(.microseconds(Limits.Kafka.positionsAgain.microseconds - 1))).isEmpty)
        #expect(table.due(now: self.at(Limits.Kafka.positionsAgain)) == [try self.position(5)])
        #expect(Limits.Kafka.positionsAgain < .seconds(7 * 86_400))
        // What is found on the cluster may have been written at any time.
        var other = PositionTable()
        other.opens(self.share)
        other.committed(try self.position(5), of: self.share)
        other.found(try self.position(5), shows: 5)
        #expect(other.due(now: self.at(.zero)) == [try self.position(5)])
    }

    @Test func whatAnotherNodeWorksIsItsToShow() throws {
        var table = PositionTable()
        table.committed(try self.position(1), of: self.share)
        #expect(table.due(now: self.at(.zero)).isEmpty)
        table.opens(self.share)
        table.opens(Share(.cpu, 3))
        table.committed(try self.position(1), of: self.share)
        table.committed(try self.position(2, partition: 1), of: Share(.cpu, 3))
        table.closes(self.share)
        #expect(table.due(now: self.at(.zero)) == [try self.position(2, partition: 1)])
        table.forget(try self.position(2, partition: 1))
        #expect(table.due(now: self.at(.zero)).isEmpty)
    }

    @Test func whatSomebodyElseSetIsToldOnceAndWaitsUntilItIsFollowed() throws {
        var table = PositionTable()
        table.opens(self.share)
        table.committed(try self.position(9), of: self.share)
        #expect(table.found(try self.position(9), movedTo: 4))
        #expect(!table.found(try self.position(9), movedTo: 4))
        #expect(table.waiting == [try self.position(4)])
        #expect(table.found(try self.position(9), movedTo: 2))
        table.wrote([try self.position(2)], now: self.at(.zero))
        #expect(table.waiting.isEmpty)
        // One that was deleted is nobody's order.
        #expect(table.found(try self.position(9), movedTo: 4))
        table.found(try self.position(9), shows: nil)
        #expect(table.waiting.isEmpty)
        #expect(table.due(now: self.at(.zero)) == [try self.position(9)])
    }

    @Test func aSubscriptionThatIsGoneIsTakenAwayAndForgotten() throws {
        var table = PositionTable()
        table.opens(self.share)
        table.committed(try self.position(5), of: self.share)
        table.wrote([try self.position(5)], now: self.at(.zero))
        table.committed(try self.position(nil), of: self.share)
        #expect(table.due(now: self.at(.zero)) == [try self.position(nil)])
        // Made again meanwhile: it stays.
        var again = table
        again.committed(try self.position(0), of: self.share)
        again.wrote([try self.position(nil)], now: self.at(.zero))
        #expect(again.due(now: self.at(.zero)) == [try self.position(0)])
        table.wrote([try self.position(nil)], now: self.at(.zero))
        #expect(table.due(now: self.at(Limits.Kafka.positionsAgain)).isEmpty)
    }

    @Test func whatANodeSaysOfAShareIsReadBackAndNothingElseIs() {
        let status = ShareStatus(Share(.gpu, 7), .draining, since: Timestamp(microseconds: 12_345))
        #expect(
            KafkaPositions.read(KafkaPositions.note(status, "rack 1"), status.share)
                == NodeShare(node: "rack 1", status))
        for note in ["", "working", "working 5", "resting 5 a", "working x a", "apus:5"] {
            #expect(KafkaPositions.read(note, status.share) == nil)
        }
    }
}

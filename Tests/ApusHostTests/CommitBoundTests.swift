import ApusCore
import ApusEngine
import Testing

@testable import ApusHost

/// What one write holds, at its bounds.
@Suite struct CommitBoundTests {
    private let now = Timestamp(milliseconds: 5)

    private func append(_ topic: String, bytes: Int) throws -> LogBatch.Append {
        LogBatch.Append(topic: try #require(TopicName(onLog: topic)), block: Array(repeating: 0, count: bytes))
    }

    private func delivery(_ offset: Offset, trigger: UInt32 = 1) -> Delivery {
        Delivery(trigger: TriggerID(rawValue: trigger), partition: 0, offset: offset)
    }

    @Test func itIsFullAtItsBytesWhatIsUnderWayIncluded() throws {
        var pipeline = CommitPipeline()
        pipeline.append([try self.append("a", bytes: Limits.Host.commitBytes - 1)], now: self.now)
        #expect(!pipeline.isFull)
        #expect(pipeline.begin([], now: self.now) != nil)
        #expect(!pipeline.isFull)
        pipeline.append([try self.append("a", bytes: 1)], now: self.now)
        #expect(pipeline.isFull)
        pipeline.succeeded()
        #expect(!pipeline.isFull && pipeline.bytes == 1)
    }

    @Test func itIsFullAtItsRecordsWhatIsUnderWayIncluded() throws {
        var pipeline = CommitPipeline()
        let record = try self.append("a", bytes: 1)
        let half = Limits.Host.commitRecords / 2
        pipeline.append(Array(repeating: record, count: half), now: self.now)
        #expect(pipeline.begin([], now: self.now) != nil)
        pipeline.append(Array(repeating: record, count: half - 1), now: self.now)
        #expect(!pipeline.isFull)
        pipeline.append([record], now: self.now)
        #expect(pipeline.isFull)
        // One that failed goes first, and still fits.
        pipeline.failed(now: self.now)
        #expect(pipeline.isFull && pipeline.appends.count == Limits.Host.commitRecords)
    }

    /// All that may come together fits into the largest batch that a log takes: what makes it full, with the outputs of one more delivery or
    /// the dead letters of one look.
    @Test func whatMayComeTogetherFitsALog() {
        let one = Limits.Host.emitBytesPerAttempt + Limits.recordBytes
        let letters = Limits.Host.deadLettersPerTurn * Limits.recordBytes
        #expect(Limits.Host.commitBytes + max(one, letters) <= 32 << 20)
    }

    @Test func aRefusedDeliveryIsTakenOutWithAllOfItsOutputsAndNothingElse() throws {
        var pipeline = CommitPipeline()
        let (here, gone) = (try self.append("here", bytes: 10), try self.append("gone", bytes: 5))
        pipeline.append([here], of: self.delivery(1), now: self.now)
        pipeline.append([here, gone], of: self.delivery(2, trigger: 2), now: self.now)
        // Nobody's: it stays, whatever its topic.
        pipeline.append([gone], now: self.now)
        #expect(pipeline.begin([], now: self.now) != nil)
        pipeline.append([gone], of: self.delivery(3, trigger: 2), now: self.now)
        pipeline.failed(now: self.now)
        let refused = pipeline.refuse(unless: { $0.onLog == "here" })
        #expect(refused.map(\.delivery) == [self.delivery(2, trigger: 2), self.delivery(3, trigger: 2)])
        #expect(refused.map { $0.outputs.map(\.topic.onLog) } == [["here", "gone"], ["gone"]])
        #expect(pipeline.appends.map(\.topic.onLog) == ["here", "gone"] && pipeline.bytes == 15)
        for held in refused { pipeline.holdRefused(held) }
        #expect(pipeline.takeRefused { $0.delivery.offset == 3 }.count == 1)
        pipeline.drop(TriggerID(rawValue: 2))
        #expect(pipeline.refused.isEmpty)
        #expect(pipeline.refuse(unless: { _ in true }).isEmpty)
    }
}

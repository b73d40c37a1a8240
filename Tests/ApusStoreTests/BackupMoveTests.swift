import ApusCore
import ApusEngine
import ApusJSON
import Testing

@testable import ApusStore

@Suite struct BackupMoveTests {
    /// Offsets 10 to 14, 20 and 21, 30: what retention and compaction left.
    private static let map: OffsetMap = {
        var map = OffsetMap()
        for (new, old) in [10, 11, 12, 13, 14, 20, 21, 30].enumerated() { map.note(Offset(old), wentTo: Offset(new)) }
        return map
    }()

    @Test func aPositionIsTheNumberOfRecordsBeforeIt() {
        let map = Self.map
        #expect([0, 10, 14, 15, 20, 22, 30, 31, 99].map { map.position(of: $0) } == [0, 0, 4, 5, 5, 7, 7, 8, 8])
        #expect(
            [9, 10, 14, 15, 19, 21, 22, 30, 31].map { map.place(of: $0) } == [nil, 0, 4, nil, nil, 6, nil, 7, nil])
        #expect(map.end == 8)
        #expect(OffsetMap().position(of: 17) == 0 && OffsetMap().place(of: 17) == nil)
    }

    @Test func everyRecordIsSettledWaitingOrUntouchedAsItWas() {
        let state = LedgerState(
            watermark: 11, settled: [12..<14, 15..<21],
            pending: [
                .init(offset: 11, attempts: 2, nextDue: Timestamp(milliseconds: 7)),
                .init(offset: 14, attempts: 1, nextDue: .zero), .init(offset: 16, attempts: 4, nextDue: .zero),
            ])
        let moved = state.moved(by: Self.map)
        #expect(moved.watermark == 1)
        #expect(moved.settled == [2..<4, 5..<6])
        // The one at 16 is of a record that compaction took.
        #expect(
            moved.pending == [
                .init(offset: 1, attempts: 2, nextDue: Timestamp(milliseconds: 7)),
                .init(offset: 4, attempts: 1, nextDue: .zero),
            ])
        for old: Offset in [10, 11, 12, 13, 14, 20, 21, 30] {
            let isSettled = old < state.watermark || state.settled.contains { $0.contains(old) }
            let new = Self.map.position(of: old)
            #expect((new < moved.watermark || moved.settled.contains { $0.contains(new) }) == isSettled, "\(old)")
        }
    }

    @Test func rangesThatMeetAreOneAndOneAtTheWatermarkIsBelowIt() {
        // Between 15 and 20 there is nothing.
        let state = LedgerState(watermark: 10, settled: [12..<15, 20..<21]).moved(by: Self.map)
        #expect(state == LedgerState(watermark: 0, settled: [2..<6]))
        let next = LedgerState(watermark: 15, settled: [20..<22]).moved(by: Self.map)
        #expect(next == LedgerState(watermark: 7))
        #expect(LedgerState(watermark: 99).moved(by: Self.map) == LedgerState(watermark: 8))
        // It reads back: canonical, as every entry of the ledger must be.
        #expect(throws: Never.self) { try LedgerState(decoding: state.encode()) }
    }

    @Test func aDeploymentStartsWhereItsRecordsAreAndNamesItsBundleAsItIsThere() throws {
        let (old, new) = (String(repeating: "a", count: 64), String(repeating: "b", count: 64))
        let topic = try #require(TopicName(.default, "in"))
        let deployment = FunctionDeployment(
            manifest: [:], revision: "r", bundle: old, layer: nil,
            triggers: [TriggerDeployment(name: "in", topic: topic, isTable: false, generation: 3, starts: [20, 5])],
            origin: 3)
        let record = ControlRecord(
            kind: .function, namespace: .default, name: "f", generation: 3, time: Timestamp(milliseconds: 9),
            content: .function(deployment))
        var event = record.event
        event.timestamp = Timestamp(milliseconds: 10)
        let map = Self.map
        let moved = ControlMove(bundles: [old: new]) { place, offset in
            place.partition == 0 ? map.position(of: offset) : 0
        }.moved(event)
        #expect(moved.timestamp == event.timestamp && moved.key == event.key)
        guard case .function(let function) = try ControlRecord(moved).content else {
            return #expect(Bool(false), "a function")
        }
        #expect(function.bundle == new && function.triggers[0].starts == [5, 0])
        #expect(function.revision == "r" && function.origin == 3)
        // What says nothing of places is passed on byte for byte, and so is what nobody understands.
        let topicRecord = ControlRecord(
            kind: .topic, namespace: .default, name: "in", generation: 1, time: .zero, content: .deleted)
        let strange = Event(key: Array("Strange/default/x".utf8), data: [1, 2])
        for event in [topicRecord.event, strange] {
            #expect(ControlMove(bundles: [:]) { _, offset in offset }.moved(event) == event)
        }
    }
}

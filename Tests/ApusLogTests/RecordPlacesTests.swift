import ApusCore
import ApusTestSupport
import Testing

@testable import ApusLog

/// Records that are asked for by their places, in whatever order.
struct RecordPlacesTests {
    /// Two partitions with gaps, asked in runs and jumps: each place gives what a reading from start to end gave there.
    @Test(arguments: [1, 2, 3] as [UInt64]) func whatLiesAtAPlaceIsFoundInAnyOrder(_ seed: UInt64) throws {
        let scratch = ScratchDirectory("places")
        let log = try LogFixture.open(scratch.path, smallConfiguration())
        defer { log.close() }
        let topic = try LogFixture.topic("a")
        try log.createTopic(topic, TopicConfiguration(partitions: 2, isCompacted: true))
        var random = SeededGenerator(seed: seed)
        for number in 0..<200 {
            // A key that comes again leaves a gap where it was.
            let append = LogFixture.append(
                topic, bytes: number + 1, key: "\(Int.random(in: 0..<60, using: &random))", partition: number % 2)
            _ = try LogFixture.write(log, LogBatch(urgency: .producer, appends: [append]))
        }
        let partitions = (0..<2).map { TopicPartition(topic, $0) }
        var there: [[Offset: [UInt8]]] = [[:], [:]]
        for (number, partition) in partitions.enumerated() {
            _ = try log.read(partition, from: 0, maxRecords: 1_000, maxBytes: 1 << 20) { offset, bytes in
                there[number][offset] = Array(bytes)
                return true
            }
        }
        #expect(there.allSatisfy { (10..<100).contains($0.count) }, "there are records, and gaps")
        for _ in 0..<50 {
            var places: [(partition: Int, offset: Offset)] = []
            for _ in 0..<20 {
                let partition = Int.random(in: 0..<2, using: &random)
                let start = Offset.random(in: -1...101, using: &random)
                places += (start..<start + Offset.random(in: 1...8, using: &random)).map { (partition, $0) }
            }
            if Bool.random(using: &random) { places.shuffle(using: &random) }
            var found = 0
            try log.records(at: places.map { RecordPlace(partitions[$0.partition], $0.offset) }) { index, bytes in
                #expect(bytes.map { Array($0) } == there[places[index].partition][places[index].offset])
                found += 1
            }
            #expect(found == places.count)
        }
    }
}

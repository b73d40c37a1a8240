import ApusCore
import Testing

@testable import ApusStore

@Suite struct BundleIndexTests {
    private static let hash = String(repeating: "ab", count: 32)
    private static let other = String(repeating: "cd", count: 32)

    private static func archive(_ bytes: Int) -> [UInt8] { (0..<bytes).map { UInt8(truncatingIfNeeded: $0 &* 31) } }

    private static func note(_ event: Event, at offset: Offset, _ index: inout BundleIndex, seconds: Int64 = 0) {
        EventBlock.encode(event).withUnsafeBytes {
            index.note($0, at: offset, time: Timestamp(milliseconds: seconds * 1_000))
        }
    }

    @Test func anArchiveIsCutIntoEventsThatMakeItAgain() throws {
        for bytes in [1, Limits.Bundle.chunkBytes, Limits.Bundle.chunkBytes + 1, 3 * Limits.Bundle.chunkBytes] {
            let archive = Self.archive(bytes)
            let chunks = (0..<BundleChunk.count(of: archive)).map { BundleChunk($0, of: archive, hash: Self.hash) }
            #expect(chunks.flatMap(\.bytes) == archive)
            for chunk in chunks { try EventBlock.check(chunk.event) }
        }
        // The largest archive there may be is within what an index takes.
        let pieces = (Limits.Bundle.archiveBytes + Limits.Bundle.chunkBytes - 1) / Limits.Bundle.chunkBytes
        var last = BundleChunk(0, of: [1], hash: Self.hash)
        (last.number, last.count) = (pieces - 1, pieces)
        var index = BundleIndex()
        Self.note(last.event, at: 7, &index)
        #expect(index.newest(of: Self.hash) != nil)
        last.count += 1
        last.hash = Self.other
        Self.note(last.event, at: 8, &index)
        #expect(index.newest(of: Self.other) == nil)
    }

    @Test func aBundleIsThereOnceAllItsPiecesAre() {
        let archive = Self.archive(2 * Limits.Bundle.chunkBytes + 5)
        var index = BundleIndex()
        for (number, offset) in [(2, 4), (0, 9), (1, 12)] {
            #expect(index.places(of: Self.hash) == nil)
            Self.note(BundleChunk(number, of: archive, hash: Self.hash).event, at: Offset(offset), &index)
        }
        #expect(index.places(of: Self.hash) == [9, 12, 4])
        // Written again, the newer piece is the one that compaction leaves; an older one noted late changes nothing.
        Self.note(BundleChunk(0, of: archive, hash: Self.hash).event, at: 20, &index)
        Self.note(BundleChunk(0, of: archive, hash: Self.hash).event, at: 9, &index)
        #expect(index.places(of: Self.hash) == [20, 12, 4])
    }

    @Test func aTombstoneTakesWhatCameBeforeItAndNothingElse() {
        let archive = Self.archive(10)
        var index = BundleIndex()
        Self.note(BundleChunk(0, of: archive, hash: Self.hash).event, at: 1, &index)
        Self.note(BundleChunk.tombstone(Self.other, 0), at: 2, &index)
        #expect(index.places(of: Self.hash) == [1])
        Self.note(BundleChunk.tombstone(Self.hash, 0), at: 3, &index)
        #expect(index.count == 0)
        Self.note(BundleChunk(0, of: archive, hash: Self.hash).event, at: 4, &index)
        Self.note(BundleChunk.tombstone(Self.hash, 0), at: 3, &index)
        #expect(index.places(of: Self.hash) == [4])
    }

    @Test func whatIsUnusedAndOldMayGoTheOldestFirst() {
        var index = BundleIndex()
        let archive = Self.archive(Limits.Bundle.chunkBytes + 1)
        let third = String(repeating: "ef", count: 32)
        Self.note(BundleChunk(0, of: archive, hash: Self.hash).event, at: 1, &index, seconds: 10)
        Self.note(BundleChunk(0, of: archive, hash: Self.other).event, at: 2, &index, seconds: 5)
        Self.note(BundleChunk(1, of: archive, hash: Self.other).event, at: 3, &index, seconds: 6)
        Self.note(BundleChunk(0, of: [1], hash: third).event, at: 4, &index, seconds: 100)
        let cutoff = Timestamp(milliseconds: 50_000)
        #expect(index.unused(before: cutoff, max: 9) { _ in false }.map(\.hash) == [Self.other, Self.hash])
        #expect(index.unused(before: cutoff, max: 1) { _ in false }.map(\.count) == [2])
        #expect(index.unused(before: cutoff, max: 9) { $0 == Self.other }.map(\.hash) == [Self.hash])
    }

    @Test func aFullIndexTakesNoFurtherBundleAndStrangersAreNoBundles() {
        var index = BundleIndex(bundlesMax: 1)
        Self.note(BundleChunk(0, of: [1], hash: Self.hash).event, at: 1, &index)
        #expect(index.isFull)
        Self.note(BundleChunk(0, of: [1], hash: Self.other).event, at: 2, &index)
        #expect(index.places(of: Self.other) == nil)
        Self.note(BundleChunk(0, of: [1], hash: Self.hash).event, at: 3, &index)
        #expect(index.places(of: Self.hash) == [3])
        for key in ["x/0", "\(Self.other)/-1", "\(Self.other)/99", "\(Self.other)", "\(Self.other)/0/0"] {
            var index = BundleIndex()
            var event = Event(key: Array(key.utf8), data: [1])
            event["chunks"] = "1"
            Self.note(event, at: 1, &index)
            #expect(index.count == 0, "\(key)")
        }
    }
}

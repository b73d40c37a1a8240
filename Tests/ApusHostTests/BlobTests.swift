import ApusCore
import ApusEngine
import ApusLoop
import ApusTestSupport
import Synchronization
import Testing

@testable import ApusHost

@Suite struct BlobTests {
    /// Keeps data in memory, under numbers for hashes.
    private final class Kept: BlobKeeping {
        private let kept = Mutex<[BlobReference: [UInt8]]>([:])

        func claim(
            _ block: [UInt8], for topic: TopicName,
            _ completion: @escaping @Sendable (Result<[UInt8], ApusError>) -> Void
        ) {
            guard let event = try? EventBlock.decode(block.span.bytes), let data = event.data else {
                return completion(.failure(ApusError(.internal, "no event")))
            }
            completion(.success(EventBlock.encode(self.keep(data).claiming(event))))
        }

        func keep(_ data: [UInt8]) -> BlobReference {
            self.kept.withLock { kept in
                let hash = hexadecimal(UInt64(kept.count))
                let reference = BlobReference(hash: String(repeating: hash, count: 4), size: data.count)
                kept[reference] = data
                return reference
            }
        }

        func data(_ reference: BlobReference, of topic: TopicName) throws(ApusError) -> [UInt8] {
            guard let data = self.kept.withLock({ $0[reference] }) else {
                throw ApusError(.recordExpired, "it is gone")
            }
            return data
        }
    }

    private static func bed(_ kept: Kept) async throws -> Bed {
        let thread = WorkThread()
        return try await Bed(readAhead: { thread.run($0) }, blobs: kept)
    }

    private static let data = [UInt8](repeating: 7, count: 3 << 20)

    private static func sent(_ reference: BlobReference) -> Event {
        reference.claiming(event("", key: "k", [Attribute("id", "7")]))
    }

    @Test(arguments: [nil, BatchPlan(maxSize: 8, maxWait: .milliseconds(1))])
    func aFunctionGetsDataAsIfItWereInItsEventAndReturnsAsMuch(batch: BatchPlan?) async throws {
        let kept = Kept()
        let bed = try await Self.bed(kept)
        let (input, output) = (try bed.topic("in"), try bed.topic("out"))
        try await bed.deploy(function(1, batch: batch, triggers: [trigger(1, on: input, replyTo: output)]))
        let reference = kept.keep(Self.data)
        try await bed.publish(input, [event("small", key: "k"), Self.sent(reference), event("last", key: "k")])
        try await bed.until("three replies") { bed.events(of: output).count == 3 }
        let replies = bed.events(of: output)
        #expect(replies.map(\.text) == ["small", "", "last"], "of one key, in their order")
        let reply = try #require(BlobReference(replies[1].attributes))
        #expect(reply != reference && replies[1].key == Array("k".utf8))
        #expect(try kept.data(reply, of: output) == Self.data)
        await bed.close()
    }

    @Test func anEventWhoseDataIsGoneBecomesADeadLetterThatNamesIt() async throws {
        let bed = try await Self.bed(Kept())
        let (input, dead) = (try bed.topic("in"), try bed.topic("dead"))
        try await bed.deploy(function(1, triggers: [trigger(1, on: input, deadLetter: dead)]))
        let reference = BlobReference(hash: String(repeating: "a", count: 64), size: 9)
        try await bed.publish(input, [Self.sent(reference)])
        try await bed.until("a dead letter") { bed.events(of: dead).count == 1 }
        let letter = bed.events(of: dead)[0]
        #expect(letter.header(DeadLetterHeader.code) == "record_expired")
        #expect(BlobReference(letter.attributes) == reference)
        await bed.close()
    }

    @Test func aReplyToACompactedTopicMustFitItsRecord() async throws {
        let kept = Kept()
        let bed = try await Self.bed(kept)
        let (input, dead) = (try bed.topic("in"), try bed.topic("dead"))
        let output = try bed.topic("out", compact: true)
        try await bed.deploy(
            function(1, triggers: [trigger(1, on: input, replyTo: output, deadLetter: dead)]))
        try await bed.publish(input, [Self.sent(kept.keep(Self.data))])
        try await bed.until("a dead letter") { bed.events(of: dead).count == 1 }
        #expect(bed.events(of: dead)[0].header(DeadLetterHeader.code) == "result_too_large")
        await bed.close()
    }

    private static func claimed(_ bytes: Int, _ number: Int) -> ClaimedDispatch {
        let dispatch = Dispatch(
            worker: WorkerID(rawValue: 1), stream: StreamID(rawValue: UInt64(number)),
            work: .request(RequestID(rawValue: 1)), attempt: 1, deadline: .distantFuture)
        return ClaimedDispatch(
            dispatch: dispatch, block: [], reference: BlobReference(hash: "", size: bytes), topic: .dead, isItem: false)
    }

    @Test func asMuchIsBroughtAtOnceAsTheBoundAllowsAndOneAlways() {
        var claimed = ClaimedDispatches()
        let half = Limits.Host.claimedBytes / 2
        for (number, bytes) in [2 * Limits.Host.claimedBytes, half, half, 1].enumerated() {
            claimed.add(Self.claimed(bytes, number + 1))
        }
        let first = claimed.next()
        #expect(first?.dispatch.stream == StreamID(rawValue: 1), "however large")
        #expect(claimed.next() == nil)
        if let first { claimed.brought(first) }
        let second = claimed.next()
        #expect(second != nil && claimed.next() != nil && claimed.bytes == Limits.Host.claimedBytes)
        #expect(claimed.next() == nil)
        if let second { claimed.brought(second) }
        #expect(claimed.next() != nil && claimed.waiting.isEmpty)
    }
}

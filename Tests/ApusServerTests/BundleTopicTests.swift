import ApusCore
import ApusLoop
import ApusStore
import ApusTelemetry
import ApusTestSupport
import Glibc
import Synchronization
import Testing

@testable import ApusServer

@Suite struct BundleTopicTests {
    /// A log and what two servers have of it.
    private final class Case: Sendable {
        let log: MemoryLog
        let folders = [ScratchDirectory("bundles-a"), ScratchDirectory("bundles-b")]
        let stores: [BundleStore]
        let topics: [BundleTopic]
        let control: Control

        init() throws {
            let clock = ClockBox()
            let log = MemoryLog { clock.now }
            self.clock = clock
            self.log = log
            try log.createTopic(
                .bundles, TopicConfiguration(partitions: Limits.Bundle.partitions, isCompacted: true))
            try log.createTopic(.control, TopicConfiguration(partitions: 1, isCompacted: true))
            let stores = try self.folders.map { try BundleStore(folder: "\($0.path)/bundles") }
            self.stores = stores
            self.topics = stores.map { store in BundleTopic(log: log, bundles: store) { clock.now } }
            self.control = Control(log: log, journal: Log(), fateOf: { _, _ throws(ApusError) in nil }) { _, _ in nil }
        }

        private let clock: ClockBox
        func pass(seconds: Int64) { self.clock.pass(seconds: seconds) }
        var time: Timestamp { self.clock.now }

        deinit {
            for topic in self.topics { topic.stop() }
            self.control.stop()
        }

        /// A source folder as `apus deploy` would send it.
        func bundle(_ files: [String: Int]) throws -> Bundler.Bundle {
            let source = ScratchDirectory("source")
            for (name, bytes) in files {
                let descriptor = open("\(source.path)/\(name)", O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
                let contents = (0..<bytes).map { UInt8(truncatingIfNeeded: $0 &* 7) }
                #expect(write(descriptor, contents, contents.count) == contents.count)
                close(descriptor)
            }
            return try Bundler().bundle(source.path)
        }

        func bring(_ hash: String, to server: Int) -> ApusError? {
            let slot = ResultSlot<ApusError?>()
            self.topics[server].bring(hash) { slot.fill($0) }
            return slot.take()
        }

        func records() throws -> Offset {
            try (0..<Limits.Bundle.partitions).reduce(0) {
                $0 + (try self.log.bounds(of: TopicPartition(.bundles, $1)).end)
            }
        }

        func sweep(_ server: Int, keeping: Set<String> = []) throws -> SweepStep {
            try self.topics[server].sweep(
                self.control, before: self.time + .seconds(-3_600), isDryRun: false
            ) { keeping.contains($0) }
        }
    }

    private final class ClockBox: Sendable {
        private let time = Mutex(Timestamp(milliseconds: 1_000_000_000))
        var now: Timestamp { self.time.withLock { $0 } }
        func pass(seconds: Int64) { self.time.withLock { $0 = $0 + .seconds(seconds) } }
    }

    @Test func whatOneServerStoredAnotherFetchesWhole() throws {
        let test = try Case()
        let bundle = try test.bundle(["main.py": 100, "weights": 5 * Limits.Bundle.chunkBytes / 2])
        _ = try test.stores[0].store(bundle.archive, hash: bundle.hash)
        try test.topics[0].publish(bundle.archive, hash: bundle.hash)
        #expect(try test.records() == Offset(BundleChunk.count(of: bundle.archive)))
        #expect(!test.stores[1].contains(bundle.hash))
        #expect(test.bring(bundle.hash, to: 1) == nil)
        #expect(try Bundler().bundle(test.stores[1].path(of: bundle.hash)).hash == bundle.hash)
        // Sent again, by whichever server, it is not written again.
        try test.topics[1].publish(bundle.archive, hash: bundle.hash)
        try test.topics[0].keep(bundle.hash)
        #expect(try test.records() == Offset(BundleChunk.count(of: bundle.archive)))
    }

    @Test func whatIsNotThereOrWasChangedIsNotTaken() throws {
        let test = try Case()
        let bundle = try test.bundle(["main.py": 100])
        #expect(test.bring(bundle.hash, to: 1)?.code == .bundleNotFound)
        // Somebody wrote something else under its hash.
        var chunk = BundleChunk(0, of: bundle.archive, hash: bundle.hash)
        chunk.bytes[600] ^= 1
        let slot = ResultSlot<Result<LogReceipt, ApusError>>()
        let append = LogBatch.Append(
            topic: .bundles, partition: BundleChunk.partition(of: bundle.hash), block: EventBlock.encode(chunk.event))
        test.log.submit(LogBatch(urgency: .producer, appends: [append])) { slot.fill($0) }
        _ = try slot.take().get()
        #expect(test.bring(bundle.hash, to: 1)?.code == .bundleInvalid)
        #expect(!test.stores[1].contains(bundle.hash))
    }

    @Test func aSweepTakesWhatNothingNamesAndADeploymentPutsItBack() throws {
        let test = try Case()
        let bundle = try test.bundle(["main.py": 100])
        _ = try test.stores[0].store(bundle.archive, hash: bundle.hash)
        try test.topics[0].publish(bundle.archive, hash: bundle.hash)
        test.pass(seconds: 3_000)
        #expect(try test.sweep(1).removed == 0, "too young")
        test.pass(seconds: 1_000)
        #expect(try test.sweep(1, keeping: [bundle.hash]).removed == 0)
        #expect(try test.sweep(1) == SweepStep(removed: 1))
        #expect(try test.sweep(1).removed == 0)
        #expect(test.bring(bundle.hash, to: 1)?.code == .bundleNotFound)
        // Its folder makes the same archive: a deployment that names it now finds it on the log again.
        try test.topics[0].keep(bundle.hash)
        #expect(test.bring(bundle.hash, to: 1) == nil)
        // Old as it is, who deploys it makes it young.
        test.pass(seconds: 4_000)
        try test.topics[1].keep(bundle.hash)
        #expect(try test.sweep(0).removed == 0)
    }

    @Test func aBundleThatMakesOtherBytesIsNotPutBackUnderItsName() throws {
        let test = try Case()
        let bundle = try test.bundle(["main.py": 100])
        // As a program makes one that sorts files in another way.
        let padded = bundle.archive + [UInt8](repeating: 0, count: 10_240)
        let hash = BundleHash.of(padded)
        _ = try test.stores[0].store(padded, hash: hash)
        #expect(#expect(throws: ApusError.self) { try test.topics[0].keep(hash) }?.code == .bundleNotFound)
        try test.topics[0].publish(padded, hash: hash)
        try test.topics[0].keep(hash)
        #expect(test.bring(hash, to: 1) == nil)
    }

    @Test func afterTheEndNothingIsBegun() throws {
        let test = try Case()
        let topic = BundleTopic(log: test.log, bundles: test.stores[0]) { .zero }
        topic.stop()
        let slot = ResultSlot<ApusError?>()
        topic.bring(String(repeating: "a", count: 64)) { slot.fill($0) }
        #expect(slot.take()?.code == .shuttingDown)
        #expect(
            #expect(throws: ApusError.self) { try topic.keep(String(repeating: "a", count: 64)) }?.code == .shuttingDown
        )
    }
}

import ApusCore
import ApusLoop
import ApusStore
import ApusTestSupport
import Synchronization
import Testing

@testable import ApusServer

@Suite struct FunctionLogWriterTests {
    /// Everything but `bed` and `log` is touched on the loop only.
    private final class Case: @unchecked Sendable {
        // SAFETY: as said above.
        let bed = LoopBed()
        let log = HeldLog()
        var writer: FunctionLogWriter?

        init() async throws {
            try self.log.createTopic(.logs, TopicConfiguration(partitions: 1))
            await self.bed.run { self.writer = FunctionLogWriter(self.bed.loop, self.log) }
        }

        func append(_ lines: Range<Int>) async {
            guard let function = ResourceName(.default, "f") else { return }
            await self.bed.run {
                for line in lines {
                    self.writer?.append(LogLine(function: function, time: .zero, level: .info, text: "\(line)"))
                }
            }
        }

        var dropped: UInt64 { get async { await self.bed.run { self.writer?.dropped ?? 0 } } }

        /// The lines on the log, in order.
        func lines() throws -> [Int] {
            var lines: [Int] = []
            _ = try self.log.read(TopicPartition(.logs, 0), from: 0, maxRecords: .max, maxBytes: .max) { _, block in
                if let event = try? EventBlock.decode(block.bytes), let line = LogLine(event),
                    let number = Int(line.text)
                {
                    lines.append(number)
                }
                return true
            }
            return lines
        }

        func close() async {
            await self.bed.run { self.writer?.close(withinMilliseconds: 0) {} }
            try? await self.bed.until("the writer is closed") { true }
            self.bed.loop.stop()
        }
    }

    @Test func gathersLinesIntoOneWriteAndKeepsTheirOrder() async throws {
        let test = try await Case()
        await test.append(0..<100)
        try await test.bed.until("the lines are written") { test.writer?.written == 100 }
        #expect(try test.lines() == Array(0..<100))
        #expect(test.log.batches == [100])
        #expect(await test.dropped == 0)
        await test.close()
    }

    @Test func dropsAndCountsWhatIsAboveItsBound() async throws {
        let test = try await Case()
        test.log.set(.held)
        let bound = Limits.Server.waitingLogLines
        // At once, so that the timer has no chance to begin a write between them.
        await test.append(0..<bound + 10)
        #expect(await test.dropped == 10)
        await test.close()
    }

    @Test func hasOneBoundedWriteUnderWay() async throws {
        let test = try await Case()
        test.log.set(.held)
        await test.append(0..<Limits.Server.waitingLogLines)
        try await test.bed.until("the first write") { test.log.waitingCount == 1 }
        // What is being written waits no longer: as many lines have room again.
        let batch = Limits.Server.logLinesPerBatch
        let next = Limits.Server.waitingLogLines
        await test.append(next..<next + batch + 1)
        #expect(await test.dropped == 1)
        await test.bed.run { test.writer?.flush() }
        #expect(test.log.waitingCount == 1)

        test.log.set(.open)
        test.log.releaseOne()
        try await test.bed.until("all is written") { test.writer?.written == UInt64(next + batch) }
        #expect(try test.lines() == Array(0..<next + batch))
        #expect(test.log.batches.allSatisfy { $0 <= batch })
        await test.close()
    }

    @Test func countsWhatTheLogRefusedAndGoesOn() async throws {
        let test = try await Case()
        test.log.set(.failing)
        await test.append(0..<3)
        try await test.bed.until("the refusal") { test.writer?.dropped == 3 }
        test.log.set(.open)
        await test.append(3..<5)
        try await test.bed.until("the next lines") { test.writer?.written == 2 }
        #expect(try test.lines() == [3, 4])
        await test.close()
    }

    @Test func writesWhatWaitsBeforeItCloses() async throws {
        let test = try await Case()
        let lines = 3 * Limits.Server.logLinesPerBatch + 1
        await test.append(0..<lines)
        let isClosed = Mutex(false)
        await test.bed.run { test.writer?.close(withinMilliseconds: 60_000) { isClosed.withLock { $0 = true } } }
        try await test.bed.until("it is closed") { isClosed.withLock { $0 } }
        #expect(try test.lines() == Array(0..<lines))
        await test.append(lines..<lines + 2)
        #expect(await test.dropped == 2, "what comes later is counted")
        test.bed.loop.stop()
    }

    @Test func closesWithinItsBoundAndCountsWhatIsLeft() async throws {
        let test = try await Case()
        test.log.set(.held)
        let lines = Limits.Server.logLinesPerBatch + 5
        await test.append(0..<lines)
        let closes = Mutex(0)
        await test.bed.run { test.writer?.close(withinMilliseconds: 1) { closes.withLock { $0 += 1 } } }
        try await test.bed.until("it is closed") { closes.withLock { $0 } == 1 }
        #expect(await test.dropped == 5)
        // The write under way is counted when its end is known.
        test.log.releaseOne()
        try await test.bed.until("the last write") { test.writer?.written == UInt64(Limits.Server.logLinesPerBatch) }
        #expect(closes.withLock { $0 } == 1)
        test.bed.loop.stop()
    }

    @Test func isRefusedLikeAProducerWhenRoomIsShort() async throws {
        let test = try await Case()
        test.log.memory.setShort(true)
        await test.append(0..<2)
        try await test.bed.until("the refusal") { test.writer?.dropped == 2 }
        #expect(try test.lines() == [])
        await test.close()
    }
}

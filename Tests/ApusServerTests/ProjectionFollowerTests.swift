import ApusCore
import ApusLoop
import ApusStore
import ApusTelemetry
import ApusTestSupport
import Testing

@testable import ApusServer

@Suite struct ProjectionFollowerTests {
    private final class Case: Sendable {
        let log = MemoryLog { Timestamp(milliseconds: 1_000) }
        let thread = WorkThread()
        let folder = ScratchDirectory("projection")
        let follower: ProjectionFollower

        init() throws {
            try self.log.createTopic(.logs, TopicConfiguration(partitions: 2))
            let projection = try Projection(path: "\(self.folder.path)/state.db", logIdentity: 1) { _ in 0 }
            self.follower = ProjectionFollower(log: self.log, thread: self.thread, projection: projection, journal: Log())
        }

        func onThread<Value: Sendable>(_ body: @escaping @Sendable () -> Value) -> Value {
            let slot = ResultSlot<Value>()
            self.thread.run { slot.fill(body()) }
            return slot.take()
        }

        func append(_ text: String, partition: Int = 0) throws {
            let function = try #require(ResourceName(.default, "f"))
            let line = LogLine(function: function, time: .zero, level: .info, text: text)
            self.log.submit(
                LogBatch(urgency: .producer, appends: [LogBatch.Append(topic: .logs, partition: partition, block: EventBlock.encode(line.event))])
            ) { _ in }
        }

        /// The newest lines, in order, as many as one query gives.
        func lines() throws -> [String] {
            let function = try #require(ResourceName(.default, "f"))
            let result = self.onThread { () -> Result<[String], ApusError> in
                do throws(ApusError) {
                    return .success(
                        try self.follower.query { (projection) throws(ApusError) in
                            try projection.logs(of: function, limit: Limits.Projection.rowsPerQuery).map(\.line.text)
                        })
                } catch { return .failure(error) }
            }
            return try result.get()
        }

        func close() {
            self.thread.run { self.follower.stop() }
            self.thread.stop()
        }
    }

    @Test func takesInWhatWasThereAndWhatComes() throws {
        let test = try Case()
        // More than one read takes at once.
        let before = Limits.Server.recordsPerFollow + 10
        for index in 0..<before { try test.append("\(index)") }
        test.thread.run { test.follower.follow(.logs) }
        #expect(try test.lines() == (0..<before).suffix(Limits.Projection.rowsPerQuery).map(String.init))
        try test.append("next")
        #expect(try test.lines().last == "next")
        test.close()
    }

    @Test func runsAQueryOnceThePlaceWasPassedAndNotBefore() throws {
        let test = try Case()
        test.thread.run { test.follower.follow(.logs) }
        let place = TopicPartition(.logs, 1)
        let passed = ResultSlot<[String]>()
        let isWaiting = ResultSlot<Bool>()
        #expect(test.follower.whenPassed(place, 0) { passed.fill((try? test.follower.query { _ in ["passed"] }) ?? []) })
        test.thread.run { isWaiting.fill(true) }
        _ = isWaiting.take()
        #expect(try test.lines() == [])
        try test.append("one", partition: 1)
        #expect(passed.take() == ["passed"])
        let again = ResultSlot<Bool>()
        #expect(test.follower.whenPassed(place, 0) { again.fill(true) })
        #expect(again.take(), "what was passed before does not wait")
        test.close()
    }

    @Test func passesOverATopicThatIsNotThere() throws {
        let test = try Case()
        let missing = try #require(TopicName(.default, "missing"))
        test.thread.run { test.follower.follow(missing) }
        try test.append("one")
        test.thread.run { test.follower.follow(.logs) }
        #expect(try test.lines() == ["one"])
        test.close()
    }

    @Test func hearsNothingAfterItsEnd() throws {
        let test = try Case()
        test.thread.run {
            test.follower.follow(.logs)
            test.follower.stop()
        }
        _ = try test.lines()
        try test.append("late")
        #expect(try test.lines() == [])
        test.close()
    }
}

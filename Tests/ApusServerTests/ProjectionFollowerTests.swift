import ApusCore
import ApusLoop
import ApusStore
import ApusTelemetry
import ApusTestSupport
import CSQLite
import Testing

@testable import ApusServer

@Suite struct ProjectionFollowerTests {
    private final class Case: Sendable {
        let log = MemoryLog { Timestamp(milliseconds: 1_000) }
        let thread = WorkThread()
        let loop = EventLoop()
        let folder = ScratchDirectory("projection")
        let follower: ProjectionFollower

        /// - Parameter isStuck: the projection can be read and takes nothing in.
        init(isStuck: Bool = false) throws {
            try self.log.createTopic(.logs, TopicConfiguration(partitions: 2))
            let projection = try Projection(path: "\(self.folder.path)/state.db", logIdentity: 1) { _ in 0 }
            if isStuck { try Self.lock(self.folder.path) }
            self.follower = ProjectionFollower(
                log: self.log, thread: self.thread, projection: projection, loop: self.loop, journal: Log())
        }

        /// Takes away the table that log lines go to.
        private static func lock(_ folder: String) throws {
            var database: OpaquePointer?
            #expect(sqlite3_open("\(folder)/state.db", &database) == SQLITE_OK)
            #expect(sqlite3_exec(database, "DROP TABLE logs", nil, nil, nil) == SQLITE_OK)
            sqlite3_close(database)
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
                LogBatch(
                    urgency: .producer,
                    appends: [LogBatch.Append(topic: .logs, partition: partition, block: EventBlock.encode(line.event))]
                )
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
            self.loop.stop()
        }

        func whenPassed(_ partition: Int, _ offset: Offset) -> ResultSlot<ErrorCode?> {
            let slot = ResultSlot<ErrorCode?>()
            self.follower.whenPassed(RecordPlace(TopicPartition(.logs, partition), offset)) { slot.fill($0?.code) }
            return slot
        }
    }

    @Test func takesInWhatWasThereAndWhatComes() throws {
        let test = try Case()
        // More than one read takes at once.
        let before = Limits.Server.recordsPerFollow + 10
        for index in 0..<before { try test.append("\(index)") }
        test.follower.follow([.logs])
        #expect(try test.lines() == (0..<before).suffix(Limits.Projection.rowsPerQuery).map(String.init))
        try test.append("next")
        #expect(try test.lines().last == "next")
        test.close()
    }

    @Test func answersOnceThePlaceWasPassed() throws {
        let test = try Case()
        test.follower.follow([.logs])
        try test.append("one", partition: 1)
        #expect(test.whenPassed(1, 0).take() == nil)
        #expect(try test.lines() == ["one"])
        test.close()
    }

    @Test func waitsForARecordThatTheProjectionCannotTakeInYetAndThenGivesUp() throws {
        let test = try Case(isStuck: true)
        test.follower.follow([.logs])
        try test.append("one", partition: 1)
        #expect(test.whenPassed(1, 0).take() == .expired)
        #expect(test.follower.failure != nil)
        test.close()
    }

    @Test func boundsHowManyWaitAndAnswersAllOfThemAtTheEnd() throws {
        let test = try Case(isStuck: true)
        test.follower.follow([.logs])
        try test.append("one", partition: 1)
        let waiting = (0..<Limits.Server.projectionWaiters).map { _ in test.whenPassed(1, 0) }
        #expect(test.whenPassed(1, 0).take() == .overloaded)
        test.follower.endWaiting()
        #expect(waiting.allSatisfy { $0.take() == .shuttingDown })
        #expect(test.whenPassed(1, 0).take() == .shuttingDown)
        test.close()
    }

    @Test func refusesAPlaceTheLogHasNotReachedAndDoesNotWaitForWhatItDoesNotFollow() throws {
        let test = try Case()
        #expect(test.whenPassed(0, 5).take() == nil, "nothing that queries show comes from there")
        test.follower.follow([.logs])
        #expect(test.whenPassed(0, 0).take() == .offsetOutOfRange)
        #expect(test.whenPassed(9, 0).take() != nil)
        #expect(test.follower.failure == nil, "what a caller asks for does not make the server unready")
        test.close()
    }

    @Test func passesOverATopicThatIsNotThere() throws {
        let test = try Case()
        let missing = try #require(TopicName(.default, "missing"))
        test.follower.follow([missing])
        try test.append("one")
        test.follower.follow([.logs])
        #expect(try test.lines() == ["one"])
        test.close()
    }

    @Test func hearsNothingAfterItsEnd() throws {
        let test = try Case()
        test.thread.run {
            test.follower.stop()
        }
        _ = try test.lines()
        try test.append("late")
        #expect(try test.lines() == [])
        test.close()
    }
}

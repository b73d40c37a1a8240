import ApusCore
import Testing

@testable import ApusStore

/// States of invocations as queries see them.
@Suite struct InvocationProjectionTests {
    let scratch = ScratchFolder()

    private func open(end: Offset? = 1_000) throws -> Projection {
        try Projection(path: "\(self.scratch.path)/state.db", logIdentity: 7) { _ in end }
    }

    private func queue() throws -> TopicPartition {
        TopicPartition(.invoke(try #require(ResourceName(.default, "f"))), 0)
    }

    private func id(_ offset: UInt64) -> InvocationID { InvocationID(high: 0xAB, low: offset) }

    private func accepted(at microseconds: Int64) -> Event {
        Event(
            attributes: [
                Attribute(InvocationHeader.lane, "00000000000000ab", kind: .header),
                Attribute(InvocationHeader.principal, "tester", kind: .header),
            ], data: [1], timestamp: Timestamp(microseconds: microseconds))
    }

    private func state(_ offset: UInt64, _ state: InvocationState, data: [UInt8]? = [], _ more: [(String, String)] = [])
        -> Event
    {
        let headers =
            [
                (InvocationHeader.state, state.rawValue), (InvocationHeader.function, "default/f"),
                (InvocationHeader.queued, "10"), (InvocationHeader.attempts, "2"), (InvocationHeader.revision, "r"),
            ] + (state.isTerminal ? [(InvocationHeader.finished, "30")] : []) + more
        var event = Event(
            key: Array(self.id(offset).description.utf8),
            attributes: headers.map { Attribute($0.0, $0.1, kind: .header) }, data: data)
        event["datacontenttype"] = "text/plain"
        return event
    }

    private let states = TopicPartition(.invocations, 3)

    /// Whichever of its records is taken in first, and after the log was read anew.
    @Test func tasksAreCountedByStateAndOtherInvocationsAreNot() throws {
        let projection = try self.open()
        let mark = [(InvocationHeader.task, "1")]
        var accepted = self.accepted(at: 5)
        try projection.apply(self.queue(), [(0, accepted)], next: 1)
        accepted.attributes.append(Attribute(InvocationHeader.task, "1", kind: .header))
        try projection.apply(self.queue(), [(1, accepted), (2, accepted)], next: 3)
        func counts() throws -> [String] {
            try projection.taskCounts().map { "\($0.state.rawValue) \($0.code ?? "-") \($0.count)" }.sorted()
        }
        #expect(try counts() == ["queued - 2"])
        try projection.apply(
            self.states,
            [
                (0, self.state(0, .succeeded)), (1, self.state(1, .running, data: [], mark)), (2, self.state(3, .waiting, data: [], mark)),
                (3, self.state(4, .failed, data: [], mark + [(InvocationHeader.code, "function_failed")])), (4, self.state(5, .cancelled)),
            ], next: 5)
        #expect(try counts() == ["failed function_failed 1", "queued - 1", "running - 1", "waiting - 1"])
        try projection.apply(self.states, [(5, self.state(4, .failed, data: nil)), (6, self.state(1, .succeeded, data: [], mark))], next: 7)
        #expect(try counts() == ["queued - 1", "succeeded - 1", "waiting - 1"])
    }

    @Test func whatIsAcceptedIsQueuedUnlessALaterStateIsKnown() throws {
        let projection = try self.open()
        try projection.apply(self.states, [(0, self.state(1, .succeeded, data: [1, 2, 3]))], next: 1)
        try projection.apply(
            self.queue(), [(0, self.accepted(at: 5)), (1, self.accepted(at: 6))], next: 2)
        let waiting = try #require(try projection.invocation(self.id(0)))
        #expect(waiting.state == .queued)
        #expect(waiting.principal == "tester")
        #expect(waiting.queued == Timestamp(microseconds: 5))
        #expect(waiting.result == nil)
        let done = try #require(try projection.invocation(self.id(1)))
        #expect(done.state == .succeeded)
        #expect(done.finished == Timestamp(microseconds: 30))
        #expect(done.result == InvocationRow.Result(contentType: "text/plain", bytes: 3))
        #expect(done.place == RecordPlace(self.states, 0))
        #expect(projection.takeEndedInvocations() == [self.id(1).description])
        #expect(projection.takeEndedInvocations().isEmpty)
    }

    @Test func theNewestStateCountsAndATombstoneForgets() throws {
        let projection = try self.open()
        let failed = [
            (InvocationHeader.code, "function_failed"), (InvocationHeader.message, "no ✗"),
            (InvocationHeader.detail, "trace"),
        ]
        try projection.apply(
            self.states,
            [
                (0, self.state(1, .running, [(InvocationHeader.progress, "1/4/half/way")])),
                (1, self.state(2, .succeeded, [(InvocationHeader.isNull, "1")])),
                (2, Event(key: Array("\(self.id(1))/cancel".utf8), data: [])),
            ], next: 3)
        #expect(try projection.invocation(self.id(1))?.progress == "1/4/half/way")
        #expect(try projection.invocation(self.id(2))?.result?.bytes == nil)
        try projection.apply(self.states, [(3, self.state(1, .failed, failed))], next: 4)
        let row = try #require(try projection.invocation(self.id(1)))
        #expect(row.state == .failed)
        #expect(row.attempts == 2)
        #expect(row.code == "function_failed")
        #expect(row.message == "no ✗")
        #expect(row.result == nil)
        #expect(try projection.endedInvocations(before: Timestamp(microseconds: 30), limit: 9).isEmpty)
        #expect(try projection.endedInvocations(before: Timestamp(microseconds: 31), limit: 1).count == 1)
        try projection.apply(self.states, [(4, Event(key: Array(self.id(1).description.utf8), data: nil))], next: 5)
        #expect(try projection.invocation(self.id(1)) == nil)
        // A record that says nothing that is understood is passed over.
        try projection.apply(self.states, [(5, Event(key: Array(self.id(9).description.utf8), data: []))], next: 6)
        #expect(try projection.invocation(self.id(9)) == nil)
    }

    @Test func aTopicThatIsGoneIsFollowedFromItsStartWhenItComesAgain() throws {
        let projection = try self.open()
        let queue = try self.queue()
        try projection.apply(queue, [(0, self.accepted(at: 5))], next: 1)
        try projection.forget(queue.topic)
        #expect(projection.position(of: queue) == 0)
        try projection.apply(queue, [(0, self.accepted(at: 5))], next: 1)
        #expect(projection.position(of: queue) == 1)
        // Found at a start to be gone: the same.
        #expect(try self.open(end: nil).position(of: queue) == 0)
        #expect(try self.open().position(of: queue) == 0)
    }
}

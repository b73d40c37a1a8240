import ApusCore
import Glibc
import Testing

@testable import ApusStore

/// Many calls that last, as the projection keeps them: what is asked about one, listed or swept takes a bounded part of them.
@Suite(.timeLimit(.minutes(20))) struct ManyTasksTests {
    /// All of them in a soak, as many as show the same otherwise.
    private static let count: UInt64 = getenv("APUS_SOAK") == nil ? 10_000 : 100_000
    private static let batch: UInt64 = 1_000

    let scratch = ScratchFolder()

    private func id(_ offset: UInt64) -> InvocationID { InvocationID(high: 0xAB, low: offset) }

    private func accepted(_ offset: UInt64) -> Event {
        Event(
            attributes: [
                Attribute(InvocationHeader.lane, "00000000000000ab", kind: .header),
                Attribute(InvocationHeader.principal, "agent", kind: .header),
            ], data: [1], timestamp: Timestamp(microseconds: Int64(offset)))
    }

    private func ended(_ offset: UInt64) -> Event {
        let headers = [
            (InvocationHeader.state, InvocationState.succeeded.rawValue), (InvocationHeader.function, "default/f"),
            (InvocationHeader.queued, "\(offset)"), (InvocationHeader.attempts, "1"), (InvocationHeader.revision, "r"),
            (InvocationHeader.finished, "\(offset)"), (InvocationHeader.principal, "agent"),
        ]
        return Event(
            key: Array(self.id(offset).description.utf8),
            attributes: headers.map { Attribute($0.0, $0.1, kind: .header) }, data: [1])
    }

    @Test func eachIsFoundAndNoStepTakesMoreThanItsPart() throws {
        let projection = try Projection(path: "\(self.scratch.path)/state.db", logIdentity: 7) { _ in 1_000_000 }
        let queue = TopicPartition(.invoke(try #require(ResourceName(.default, "f"))), 0)
        let states = TopicPartition(.invocations, 3)
        for start in stride(from: 0, to: Self.count, by: Int(Self.batch)) {
            let offsets = start..<start + Self.batch
            try projection.apply(
                queue, offsets.map { (Offset($0), self.accepted($0)) }, next: Offset(start + Self.batch))
        }
        for offset in [0, Self.count / 2, Self.count - 1] {
            #expect(try projection.invocation(self.id(offset))?.state == .queued)
        }
        // How many wait before one is told up to a bound; all are asked no more than that.
        let last = Timestamp(microseconds: Int64(Self.count) - 1)
        for limit in [1, 1_000] {
            #expect(try projection.invocationsAhead(of: last, "default", "f", limit: limit) == limit)
        }
        #expect(try projection.invocationsAhead(of: Timestamp(microseconds: 7), "default", "f", limit: 1_000) == 7)

        for start in stride(from: 0, to: Self.count, by: Int(Self.batch)) {
            let offsets = start..<start + Self.batch
            try projection.apply(states, offsets.map { (Offset($0), self.ended($0)) }, next: Offset(start + Self.batch))
            _ = projection.takeEndedInvocations()
        }
        #expect(try projection.invocation(self.id(Self.count - 1))?.state == .succeeded)
        #expect(try projection.invocationsAhead(of: last, "default", "f", limit: 1_000) == 0)
        // A sweep forgets them, the oldest first and a step at a time.
        var (next, steps) = (Offset(Self.count), 0)
        while true {
            let due = try projection.endedInvocations(before: .distantFuture, limit: Limits.Invocations.statesPerSweep)
            guard !due.isEmpty else { break }
            #expect(due.count <= Limits.Invocations.statesPerSweep)
            #expect(due.first == self.id(UInt64(steps * Limits.Invocations.statesPerSweep)))
            try projection.apply(
                states, due.enumerated().map { (next + Offset($0), Event(key: Array($1.description.utf8), data: nil)) },
                next: next + Offset(due.count))
            next += Offset(due.count)
            steps += 1
        }
        #expect(steps == Int(Self.count) / Limits.Invocations.statesPerSweep)
        #expect(try projection.invocation(self.id(0)) == nil && projection.invocation(self.id(Self.count - 1)) == nil)
    }
}

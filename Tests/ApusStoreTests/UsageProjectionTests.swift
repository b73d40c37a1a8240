import ApusCore
import ApusEngine
import Testing

@testable import ApusStore

struct UsageProjectionTests {
    private let scratch = ScratchFolder()
    private static let place = TopicPartition(.usage, 3)
    private static let day = Timestamp(microseconds: 1_790_000_000_000_000 / 86_400_000_000 * 86_400_000_000)

    private func open() throws -> Projection {
        try Projection(path: "\(self.scratch.path)/state.db", logIdentity: 7) { _ in 1_000 }
    }

    private func name(_ text: String, in namespace: Namespace = .default) throws -> ResourceName {
        try #require(ResourceName(namespace, text))
    }

    private func record(_ sequence: UInt64, minute: Int64, run: String = "a", node: String = "n1") -> UsageRecord {
        let from = Self.day + .seconds(minute * 60)
        return UsageRecord(node: node, run: run, sequence: sequence, from: from, to: from + .seconds(60))
    }

    private func function(_ name: ResourceName, busy: Int64) -> UsageRecord.Function {
        var function = UsageRecord.Function(name)
        function.calls = 3
        function.failed = 1
        function.running = busy
        function.workers.busy = busy
        function.workers.memory = busy * 128
        function.starts = IdleGaps.Count(count: 1, span: 70_000)
        function.gaps.first = 1
        function.gaps.buckets[5] = IdleGaps.Count(count: 2, span: 3_000_000)
        return function
    }

    private func window(_ step: UsageWindow.Step = .whole) -> UsageWindow {
        UsageWindow(from: Self.day, to: Self.day + .seconds(3 * 86_400), step: step)
    }

    @Test func aRecordComesBackAsItWasWritten() throws {
        var record = self.record(9, minute: 4)
        record.functions = [self.function(try self.name("embed"), busy: 12)]
        var share = UsageRecord.Share(try self.name("embed"), kind: "h100", isSimulated: true)
        (share.share.busy, share.share.idle, share.share.transfer, share.share.host) = (1, 2, 3, 4)
        share.portion = 250_000
        share.wakes = IdleGaps.Count(count: 1, span: 9)
        share.gaps.buckets[0] = IdleGaps.Count(count: 4, span: 5)
        record.shares = [share]
        var usage = DeviceUsage()
        (usage.busy, usage.idle, usage.transfer, usage.unallocated) = (1, 2, 3, 54)
        record.devices = [UsageRecord.Device(id: "d", kind: "h100", isSimulated: true, usage: usage)]
        record.callers = [
            UsageRecord.Caller(try self.name("embed"), principal: "ann", calls: 2, failed: 0, running: 8)
        ]
        record.transitions = [
            UsageTransition(
                at: Self.day, instance: 1 << 63, name: try self.name("embed"), revision: "r", device: "d",
                before: "ready",
                after: "sleeping", cause: "idle", tier: "disk")
        ]
        #expect(UsageRecord(record.event) == record)
        #expect(UsageRecord(Event(key: nil, attributes: [], data: Array("{}".utf8), timestamp: .zero)) == nil)
    }

    @Test func recordsOfAllNodesAddUpAndOneThatComesTwiceCountsOnce() throws {
        let projection = try self.open()
        let embed = try self.name("embed")
        var first = self.record(1, minute: 0)
        first.functions = [self.function(embed, busy: 10)]
        var second = self.record(2, minute: 1)
        second.functions = [self.function(embed, busy: 20)]
        var other = self.record(1, minute: 1, run: "b", node: "n2")
        other.functions = [self.function(embed, busy: 300)]
        let events = [first, second, second, other].enumerated().map {
            (offset: Offset($0.offset), event: $0.element.event)
        }
        try projection.apply(Self.place, events, next: 4)
        let rows = try projection.usage(in: .default, self.window())
        #expect(rows.count == 1 && rows[0].function.workers.busy == 330 && rows[0].function.calls == 9)
        #expect(rows[0].function.starts == IdleGaps.Count(count: 3, span: 210_000))
        let gaps = try projection.gaps(in: .default, self.window())
        #expect(gaps.count == 1 && gaps[0].gaps.first == 3 && gaps[0].gaps.buckets[5]?.count == 6)
        #expect(try projection.usage(in: Namespace("other"), self.window()).isEmpty)
    }

    @Test func stepsTellDaysApart() throws {
        let projection = try self.open()
        let embed = try self.name("embed")
        let events = try [(1, 0), (2, 1_439), (3, 1_440)].map { sequence, minute in
            var record = self.record(UInt64(sequence), minute: Int64(minute))
            record.functions = [self.function(try self.name("embed"), busy: Int64(sequence))]
            return (offset: Offset(sequence), event: record.event)
        }
        try projection.apply(Self.place, events, next: 4)
        let rows = try projection.usage(in: .default, self.window(.day))
        #expect(rows.map(\.function.workers.busy) == [3, 3] && rows.allSatisfy { $0.function.name == embed })
        #expect(rows[1].minute - rows[0].minute == 1_440)
    }

    @Test func minutesBecomeHoursAndOldOnesGo() throws {
        let projection = try self.open()
        var events: [(offset: Offset, event: Event)] = []
        for minute in 0..<180 {
            var record = self.record(UInt64(minute + 1), minute: Int64(minute))
            record.functions = [self.function(try self.name("embed"), busy: 1)]
            record.callers = [
                UsageRecord.Caller(try self.name("embed"), principal: "ann", calls: 1, failed: 0, running: 1)
            ]
            events.append((Offset(minute), record.event))
        }
        try projection.apply(Self.place, events, next: 180)
        #expect(try projection.count(.usage) == 180)
        let removed = try projection.removeUsage(
            before: Self.day, hoursBefore: Self.day + .seconds(2 * 3_600 + 60), limit: 1_000, isDryRun: false)
        #expect(removed == 0)
        #expect(try projection.count(.usage) == 62)
        let rows = try projection.usage(in: .default, self.window())
        #expect(rows[0].function.workers.busy == 180)
        #expect(try projection.callers(in: .default, self.window()).first?.calls == 180)
        let hour = Self.day + .seconds(3_600)
        #expect(
            try projection.removeUsage(before: hour, hoursBefore: hour, limit: 1_000, isDryRun: true) > 0)
        #expect(try projection.usage(in: .default, self.window())[0].function.workers.busy == 180)
        _ = try projection.removeUsage(before: hour, hoursBefore: hour, limit: 1_000, isDryRun: false)
        #expect(try projection.usage(in: .default, self.window())[0].function.workers.busy == 120)
    }

    @Test func devicesAndTransitionsAreTold() throws {
        let projection = try self.open()
        var record = self.record(1, minute: 0)
        var usage = DeviceUsage()
        (usage.busy, usage.unallocated) = (20, 40)
        record.devices = [UsageRecord.Device(id: "d", kind: "h100", isSimulated: true, usage: usage)]
        record.transitions = [
            UsageTransition(
                at: Self.day, instance: 4, name: try self.name("embed"), revision: "r", device: "d", before: "absent",
                after: "loading", cause: "demand", tier: "disk")
        ]
        try projection.apply(Self.place, [(0, record.event)], next: 1)
        let devices = try projection.deviceUsage(self.window())
        #expect(devices.count == 1 && devices[0].node == "n1" && devices[0].device.usage == usage)
        #expect(try projection.transitions(of: try self.name("embed"), limit: 5) == record.transitions)
        #expect(try projection.transitions(of: try self.name("other"), limit: 5).isEmpty)
    }
}

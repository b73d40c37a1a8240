import ApusCore
import ApusEngine
import ApusStore
import Testing

@testable import ApusServer

/// The parts of principals sum up to what their functions cost, whatever the two were counted to have run.
@Suite struct CallerPartsTests {
    private static func name(_ text: String) throws -> ResourceName { try #require(ResourceName(.default, text)) }

    private static func function(running: Int64) -> UsageItem {
        var item = UsageItem()
        item.calls = 100
        item.running = running
        item.workers.busy = 1_000_003
        item.share.busy = 600_001
        item.share.idle = 300_007
        item.share.transfer = 11
        item.cost.device = 7.5
        item.cost.memory = 0.25
        return item
    }

    private static func check(_ items: [String: UsageItem], _ functions: [UsageItem], _ note: String) {
        var sum = UsageItem()
        for item in items.values { sum += item }
        var whole = UsageItem()
        for function in functions { whole += function }
        #expect(sum.share == whole.share, "\(note): a microsecond of a device is somebody's once")
        #expect(sum.workers.busy == whole.workers.busy, "\(note)")
        #expect(abs(sum.cost.total - whole.cost.total) < 1e-9, "\(note)")
        for (principal, item) in items {
            #expect(item.share.busy >= 0 && item.share.idle >= 0 && item.cost.total >= -1e-9, "\(note): \(principal)")
        }
    }

    @Test func aDeviceSecondIsChargedOnce() throws {
        let (one, two) = (try Self.name("one"), try Self.name("two"))
        for (first, second) in [(300, 200), (600, 400), (900, 900), (5_000, 1), (0, 0)] as [(Int64, Int64)] {
            let functions = [one: Self.function(running: 1_000), two: Self.function(running: 0)]
            let callers = [
                UsageRecord.Caller(one, principal: "ann", calls: 3, failed: 0, running: first),
                UsageRecord.Caller(one, principal: "bob", calls: 2, failed: 1, running: second),
                UsageRecord.Caller(two, principal: "ann", calls: 1, failed: 0, running: 10),
            ]
            let items = CallerParts.divide(functions, among: callers)
            Self.check(items, Array(functions.values), "\(first) and \(second)")
            // Where all came from callers, what the division leaves is no line of its own.
            var called = Self.function(running: 1_000)
            called.calls = 5
            let whole = CallerParts.divide([one: called], among: Array(callers[..<2]))
            Self.check(whole, [called], "\(first) and \(second), all called")
            #expect((whole[CallerParts.uncalled] == nil) == (first + second >= 1_000), "\(first) and \(second)")
        }
    }

    @Test func whatNobodyCalledIsListedApart() throws {
        let one = try Self.name("one")
        let function = Self.function(running: 1_000)
        let callers = [UsageRecord.Caller(one, principal: "ann", calls: 3, failed: 0, running: 250)]
        let items = CallerParts.divide([one: function], among: callers)
        #expect(items["ann"]?.cost.device == 7.5 / 4 && items["ann"]?.share.busy == 150_000)
        #expect(items[CallerParts.uncalled]?.calls == 97 && items.count == 2)
        #expect(CallerParts.divide([:], among: callers)["ann"]?.calls == 3, "calls of a function whose parts are gone")
    }
}

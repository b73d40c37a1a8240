import ApusCore
import Testing

@testable import ApusEngine

@Suite struct DemandWindowTests {
    private static func at(_ seconds: Int64) -> Timestamp { Timestamp(microseconds: seconds * 1_000_000) }

    @Test func theMaximumOfAWhileIsKeptUntilTheWhileIsOver() {
        var window = DemandWindow()
        window.record(3, now: Self.at(0))
        window.record(1, now: Self.at(10))
        window.record(2, now: Self.at(20))
        window.record(0, now: Self.at(30))
        #expect(window.maximum(over: .seconds(60), now: Self.at(69)) == 3)
        #expect(window.falls(over: .seconds(60)) == Self.at(70))
        #expect(window.maximum(over: .seconds(60), now: Self.at(70)) == 2)
        #expect(window.maximum(over: .seconds(60), now: Self.at(90)) == 0)
        #expect(window.falls(over: .seconds(60)) == nil)
    }

    @Test func itIsTheMaximumWhateverComes() {
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<200 {
            var window = DemandWindow()
            // Every value with the stretch of time in which it held.
            var past: [(value: Int, from: Int64, until: Int64)] = []
            var (now, value) = (Int64(0), 0)
            for _ in 0..<40 {
                let next = Int.random(in: 0...5, using: &generator)
                past.append((value, past.last?.until ?? 0, now))
                value = next
                window.record(next, now: Self.at(now))
                now += Int64.random(in: 0...20, using: &generator)
                let expected = max(value, past.filter { $0.until > now - 30 }.map(\.value).max() ?? 0)
                #expect(window.maximum(over: .seconds(30), now: Self.at(now)) == expected)
            }
        }
    }
}

@Suite struct WorkTimesTests {
    @Test func nothingIsForeseenBeforeAStartAndAnEndWereSeen() {
        var times = WorkTimes()
        times.came(1_000, now: Timestamp(microseconds: 1))
        #expect(times.growth(running: 0, now: Timestamp(microseconds: 500_000)) == 0)
    }

    /// What runs steadily leaves as fast as it comes: nothing is foreseen beyond it, however long a start takes.
    @Test func aSteadyLoadForeseesNoMoreThanThereIs() {
        for start in [Int64(100), 1_000, 10_000] {
            var times = WorkTimes()
            times.started(in: .milliseconds(start))
            times.ran(.milliseconds(500))
            var now = Timestamp(microseconds: 5_000_000)
            for _ in 0..<40 {
                times.came(1, now: now)
                now = now + .milliseconds(100)
            }
            #expect(times.growth(running: 5, now: now) <= 1)
            #expect(times.growth(running: 0, now: now) >= (start < 500 ? 0 : 4), "all of it is yet to be taken up")
        }
    }

    @Test func anEstimateOfAStartIsWhatNineOfTenStayWithin() {
        var times = WorkTimes()
        for span in 1...Limits.Pool.startSamples { times.started(in: .seconds(Int64(span))) }
        #expect(times.start == .seconds(Int64(Limits.Pool.startSamples * 9 / 10)))
        for _ in 0..<Limits.Pool.startSamples { times.started(in: .seconds(1)) }
        #expect(times.start == .seconds(1), "a lasting change is believed")
    }
}

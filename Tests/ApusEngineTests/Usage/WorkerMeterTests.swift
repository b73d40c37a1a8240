import ApusCore
import Testing

@testable import ApusEngine

struct WorkerMeterTests {
    private static let size = WorkerMeter.Size(memoryBytes: 512 << 20, processorMillis: 500)
    private func at(_ seconds: Int64) -> Timestamp { Timestamp(microseconds: seconds * 1_000_000) }

    @Test func eachPartOfAWorkersLifeIsCounted() {
        var meter = WorkerMeter()
        meter.joined(Self.size, now: self.at(100))
        meter.moved(from: .starting, to: .idle, Self.size, now: self.at(102))
        meter.moved(from: .idle, to: .busy, Self.size, now: self.at(105))
        meter.moved(from: .busy, to: .idle, Self.size, now: self.at(106))
        meter.left(from: .idle, Self.size, now: self.at(110))
        let usage = meter.take(now: self.at(200))
        #expect(usage.starting == 2_000_000 && usage.idle == 7_000_000 && usage.busy == 1_000_000)
        #expect(usage.memory == 512 * 10_000_000)
        #expect(usage.processor == 500 * 3_000_000)
        #expect(meter.take(now: self.at(300)).isEmpty && meter.workers == 0)
    }

    @Test(arguments: [3, 99, 4_242] as [UInt64])
    func thePartsSumToTheTimeOfTheWorkersThatThereWere(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var meter = WorkerMeter()
        var parts: [WorkerMeter.Part] = []
        var now: Int64 = 1_000
        var expected: Int64 = 0
        var sum = WorkerUsage()
        for _ in 0..<5_000 {
            let step = Int64.random(in: 0...900_001, using: &random)
            expected += step * Int64(parts.count)
            now += step
            let time = Timestamp(microseconds: now)
            switch Int.random(in: 0..<5, using: &random) {
            case 0:
                meter.joined(Self.size, now: time)
                parts.append(.starting)
            case 1 where !parts.isEmpty:
                meter.left(
                    from: parts.remove(at: Int.random(in: 0..<parts.count, using: &random)), Self.size, now: time)
            case 2: sum += meter.take(now: time)
            default:
                guard !parts.isEmpty else { continue }
                let place = Int.random(in: 0..<parts.count, using: &random)
                let next: WorkerMeter.Part = Bool.random(using: &random) ? .busy : .idle
                meter.moved(from: parts[place], to: next, Self.size, now: time)
                parts[place] = next
            }
        }
        sum += meter.take(now: Timestamp(microseconds: now))
        #expect(sum.busy + sum.idle + sum.starting == expected)
        #expect(sum.memory == 512 * expected)
    }
}

struct IdleGapsTests {
    private func at(_ seconds: Int64) -> Timestamp { Timestamp(microseconds: seconds * 1_000_000) }

    @Test func aGapGoesOnWhenItsWorkerIsStoppedMeanwhile() {
        var gaps = IdleGaps()
        gaps.started(now: self.at(0))
        gaps.used(idleSince: self.at(10), now: self.at(40))
        gaps.stopped(idleSince: self.at(50))
        gaps.started(now: self.at(650))
        let seen = gaps.take()
        #expect(seen.first == 1 && seen.buckets.values.reduce(0) { $0 + $1.count } == 2)
        #expect(seen.buckets.values.reduce(0) { $0 + $1.span } == 630_000_000)
        #expect(gaps.take().isEmpty)
    }

    @Test func keepingForATimeIsPaidUpToItAndColdBeyond() {
        var gaps = IdleGaps()
        gaps.started(now: self.at(0))
        for gap in [30, 30, 600] as [Int64] { gaps.used(idleSince: self.at(0), now: self.at(gap)) }
        let seen = gaps.take()
        let minute = seen.kept(for: .seconds(60))
        #expect(minute.idle == 120_000_000 && minute.cold == 2 && minute.warm == 2)
        let hour = seen.kept(for: .seconds(3_600))
        #expect(hour.idle == 660_000_000 && hour.cold == 1 && hour.warm == 3)
        let nothing = seen.kept(for: .zero)
        #expect(nothing.idle == 0 && nothing.cold == 4)
    }

    @Test func bucketsGrowWithTheirGapsAndNeverGoBack() {
        var last = 0
        for span in stride(from: Int64(0), to: 400_000_000_000, by: 37_000_003) {
            let bucket = IdleGaps.bucket(of: span)
            #expect(bucket >= last)
            last = bucket
        }
        #expect(IdleGaps.bucket(of: 999_999) == 0 && IdleGaps.bucket(of: 1_000_000) == 1)
    }

    @Test func openGapsAreBounded() {
        var gaps = IdleGaps()
        for second in 0..<Int64(Limits.Usage.openGaps + 10) { gaps.stopped(idleSince: self.at(second)) }
        for _ in 0..<Limits.Usage.openGaps { gaps.started(now: self.at(1_000)) }
        gaps.started(now: self.at(1_000))
        let seen = gaps.take()
        #expect(seen.first == 1)
        #expect(seen.buckets.values.reduce(0) { $0 + $1.count } == Int64(Limits.Usage.openGaps))
    }
}

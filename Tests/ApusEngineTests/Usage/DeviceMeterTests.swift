import ApusCore
import Testing

@testable import ApusEngine

struct DeviceMeterTests {
    private static let gibibyte: Int64 = 1 << 30
    private static let embed = name("embed")
    private static let generate = name("generate")

    static func name(_ text: String) -> ResourceName {
        guard let name = ResourceName(.default, text) else { preconditionFailure("a name of a function") }
        return name
    }

    static func change(
        _ id: UInt64, _ name: ResourceName, to state: InstanceState, on devices: [Int] = [0], bytes: Int64 = 20 << 30,
        residue: Int64 = 0, host: Int64 = 0, from: InstanceState = .absent, at seconds: Int64
    ) -> InstanceChange {
        InstanceChange(
            name: name, revision: "r", deviceBytes: bytes, residueBytes: residue, hostBytes: host,
            transition: InstanceTransition(
                instance: InstanceID(rawValue: id), function: FunctionID(rawValue: 1),
                devices: devices.map { DeviceID($0) },
                from: from, to: state, at: Timestamp(microseconds: seconds * 1_000_000), cause: .demand))
    }

    private func meter(_ devices: Int = 1) -> DeviceMeter {
        var meter = DeviceMeter()
        for _ in 0..<devices { meter.add(capacity: 80 * Self.gibibyte, now: .zero) }
        return meter
    }

    private func seconds(_ count: Int64) -> Int64 { count * 1_000_000 }

    @Test func aDeviceThatNobodyHasIsUnallocated() {
        var meter = self.meter()
        let (devices, shares) = meter.take(now: Timestamp(microseconds: self.seconds(10)))
        #expect(devices[0].unallocated == self.seconds(10) && devices[0].total == self.seconds(10))
        #expect(shares.isEmpty)
    }

    @Test func anIdleInstanceIsChargedThePartThatItsMemoryIs() {
        var meter = self.meter()
        meter.changed(Self.change(1, Self.embed, to: .ready, at: 0))
        let (devices, shares) = meter.take(now: Timestamp(microseconds: self.seconds(8)))
        #expect(devices[0].idle == self.seconds(2) && devices[0].unallocated == self.seconds(6))
        let key = DeviceMeter.Key(function: Self.embed, device: DeviceID(0))
        #expect(shares[key]?.idle == self.seconds(2))
    }

    @Test func whoRunsSomethingHasTheDeviceAndSharesItWithOthersWhoDo() {
        var meter = self.meter()
        meter.changed(Self.change(1, Self.embed, to: .busy(1), at: 0))
        meter.changed(Self.change(2, Self.generate, to: .ready, at: 0))
        meter.changed(Self.change(2, Self.generate, to: .busy(3), from: .ready, at: 4))
        let (devices, shares) = meter.take(now: Timestamp(microseconds: self.seconds(10)))
        #expect(devices[0].busy == self.seconds(10) && devices[0].idle == 0)
        #expect(shares[DeviceMeter.Key(function: Self.embed, device: DeviceID(0))]?.busy == self.seconds(7))
        #expect(shares[DeviceMeter.Key(function: Self.generate, device: DeviceID(0))]?.busy == self.seconds(3))
    }

    @Test func bringingWeightsIsATransferAndSleepingCostsTheHostsMemory() {
        var meter = self.meter()
        meter.changed(Self.change(1, Self.embed, to: .starting(.loading), at: 0))
        meter.changed(Self.change(1, Self.embed, to: .sleeping, residue: 8 << 30, host: 16 << 30, from: .ready, at: 3))
        meter.changed(
            Self.change(
                1, Self.embed, to: .starting(.waking), residue: 8 << 30, host: 16 << 30, from: .sleeping, at: 13))
        meter.changed(Self.change(1, Self.embed, to: .ready, from: .starting(.waking), at: 14))
        let (devices, shares) = meter.take(now: Timestamp(microseconds: self.seconds(14)))
        #expect(devices[0].transfer == self.seconds(4) && devices[0].idle == self.seconds(1))
        #expect(devices[0].unallocated == self.seconds(9))
        let share = shares[DeviceMeter.Key(function: Self.embed, device: DeviceID(0))]
        #expect(share?.host == 16 * 1_024 * self.seconds(11))
    }

    @Test func anInstanceOnSeveralDevicesIsChargedForEach() {
        var meter = self.meter(2)
        meter.changed(Self.change(1, Self.embed, to: .busy(1), on: [0, 1], at: 0))
        let (devices, _) = meter.take(now: Timestamp(microseconds: self.seconds(5)))
        #expect(devices.map(\.busy) == [self.seconds(5), self.seconds(5)])
    }

    /// Whatever instances do, in whatever order: nothing is counted twice and nothing left out.
    @Test(arguments: [1, 7, 20_261, 0xFEED, 987_654_321] as [UInt64])
    func thePartsSumToTheTimeThatPassed(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let devices = Int.random(in: 1...6, using: &random)
        var meter = self.meter(devices)
        var now: Int64 = 0
        var states: [UInt64: InstanceState] = [:]
        var totals = [DeviceUsage](repeating: DeviceUsage(), count: devices)
        var shares: [DeviceMeter.Key: DeviceShare] = [:]
        for _ in 0..<4_000 {
            now += Int64.random(in: 0...3_000_007, using: &random)
            let id = UInt64.random(in: 1...12, using: &random)
            let next = Self.states.randomElement(using: &random) ?? .ready
            let count = Int.random(in: 1...devices, using: &random)
            var change = Self.change(
                id, id % 2 == 0 ? Self.embed : Self.generate, to: next,
                on: Array((0..<devices).shuffled(using: &random).prefix(count)),
                bytes: Int64.random(in: 0...(90 << 30), using: &random),
                residue: Int64.random(in: 0...(2 << 30), using: &random), host: 3 << 30,
                from: states[id] ?? .absent, at: 0)
            change.transition.at = Timestamp(microseconds: now)
            states[id] = next
            meter.changed(change)
            guard Int.random(in: 0..<20, using: &random) == 0 else { continue }
            now += 17
            self.add(meter.take(now: Timestamp(microseconds: now)), &totals, &shares)
            #expect(totals.allSatisfy { $0.total == now })
        }
        self.add(meter.take(now: Timestamp(microseconds: now)), &totals, &shares)
        for (place, total) in totals.enumerated() {
            #expect(total.total == now)
            let own = shares.filter { $0.key.device == DeviceID(place) }.values
            #expect(own.reduce(0) { $0 + $1.busy } == total.busy)
            #expect(own.reduce(0) { $0 + $1.transfer } == total.transfer)
            #expect(own.reduce(0) { $0 + $1.idle } == total.idle)
            #expect([total.busy, total.idle, total.transfer, total.unallocated].allSatisfy { $0 >= 0 })
        }
    }

    private static let states: [InstanceState] = [
        .absent, .starting(.fetching), .starting(.forking), .starting(.loading), .starting(.warming), .ready, .busy(1),
        .busy(4), .sleeping, .starting(.waking), .draining, .stopped, .quarantined,
    ]

    private func add(
        _ taken: (devices: [DeviceUsage], shares: [DeviceMeter.Key: DeviceShare]), _ totals: inout [DeviceUsage],
        _ shares: inout [DeviceMeter.Key: DeviceShare]
    ) {
        for (place, usage) in taken.devices.enumerated() { totals[place] += usage }
        for (key, share) in taken.shares { shares[key, default: DeviceShare()] += share }
    }
}

import ApusCore
import ApusEngine
import ApusTestSupport
import Glibc
import Testing

@testable import ApusServer

struct DeviceRegisterTests {
    private static func found(_ id: String, simulated: Bool = false) -> FoundDevice {
        FoundDevice(
            description: DeviceDescription(id: id, kind: "h100", memoryBytes: 1_000, isSimulated: simulated),
            name: "H100",
            driver: "1")
    }

    private var register: DeviceRegister { DeviceRegister([Self.found("a"), Self.found("b")], now: .zero) }
    private func at(_ seconds: Int64) -> Timestamp { .zero + .seconds(seconds) }
    private static func ours(_ device: FoundDevice, _ processes: [DeviceProcess]) -> Int64 {
        processes.filter { $0.pid == 1 }.reduce(0) { $0 + ($1.bytes ?? 0) }
    }

    @Test func whatIsNotOursCountsForTheDevice() {
        var register = self.register
        let processes = [DeviceProcess(pid: 1, bytes: 300), DeviceProcess(pid: 2, bytes: 100)]
        let changes = register.read([.used(500, processes), .used(0, [])], attributed: Self.ours, now: self.at(1))
        #expect(changes == [.observed(DeviceID(0), used: 500, attributed: 300)])
        #expect(register.devices[0].unattributed == 200)
        let again = register.read([.used(500, processes), .used(0, [])], attributed: Self.ours, now: self.at(2))
        #expect(again.isEmpty)
    }

    @Test func aCriticalErrorQuarantinesAndAProgramsOwnDoesNot() {
        var register = self.register
        #expect(register.happened(DeviceEvent(devices: [1], kind: .xid(31)), now: self.at(1)).isEmpty)
        #expect(register.devices[1].health == .working && register.devices[1].events.count == 1)
        let changes = register.happened(DeviceEvent(devices: [1], kind: .xid(79)), now: self.at(2))
        #expect(changes == [.quarantined(DeviceID(1), "the driver reported Xid 79")])
        // The first reason is the one to look at.
        #expect(register.happened(DeviceEvent(devices: [1], kind: .memory), now: self.at(3)).isEmpty)
        let drained = register.drain(1, now: self.at(4))
        #expect(drained.isEmpty)
        let cleared = register.clear(1, now: self.at(5))
        #expect(cleared == [.cleared(DeviceID(1))] && register.devices[1].health == .working)
    }

    @Test func aDriverThatHangsStopsItsDevicesUntilItAnswers() {
        var register = self.register
        _ = register.happened(DeviceEvent(devices: [1], kind: .xid(48)), now: self.at(1))
        let changes = register.hangs(now: self.at(20))
        #expect(changes == [.quarantined(DeviceID(0), "the driver does not answer")])
        #expect(register.hangs(now: self.at(21)).isEmpty && register.isHanging)
        let answered = register.read([.used(0, []), .used(0, [])], attributed: Self.ours, now: self.at(30))
        #expect(answered.contains(.cleared(DeviceID(0))) && !register.isHanging)
        // What was ill before stays so.
        #expect(register.devices[1].health == .quarantined("the driver reported Xid 48"))
    }

    @Test func aDeviceThatIsGoneIsToldOnce() {
        var register = self.register
        let readings = [DeviceReading.used(0, []), .lost("GPU is lost")]
        #expect(register.read(readings, attributed: Self.ours, now: self.at(1)) == [.lost(DeviceID(1), "GPU is lost")])
        #expect(register.read(readings, attributed: Self.ours, now: self.at(2)).isEmpty)
        let unknown = register.read([.unknown("busy"), .lost("")], attributed: Self.ours, now: self.at(3))
        #expect(unknown.isEmpty && register.devices[0].problem == "busy")
    }

    @Test func eventsAreBounded() {
        var register = self.register
        for number in 0..<UInt64(Limits.Devices.events + 5) {
            _ = register.happened(
                DeviceEvent(devices: [0, 9], kind: .xid(13 + number * 0)), now: self.at(Int64(number)))
        }
        #expect(register.devices[0].events.count == Limits.Devices.events)
        #expect(register.devices[0].events.first?.at == self.at(5))
    }

    @Test func whatAnOperatorSaidComesBackAfterARestart() throws {
        let scratch = ScratchDirectory("devices")
        let file = DeviceFile(path: "\(scratch.path)/devices")
        var register = self.register
        _ = register.drain(0, now: self.at(1))
        _ = register.happened(DeviceEvent(devices: [1], kind: .unavailable), now: self.at(2))
        try file.write(register.devices)
        let kept = try file.read()
        #expect(kept.map(\.id) == ["a", "b"] && kept[0].health == .draining)
        var next = self.register
        for (id, health) in kept { _ = next.restore(try #require(next.place(of: id)), health, now: self.at(3)) }
        #expect(next.devices.map(\.health) == register.devices.map(\.health))
    }

    @Test func whatWasSaidAndCannotBeReadIsNotTakenForNothing() throws {
        let scratch = ScratchDirectory("devices")
        let file = DeviceFile(path: "\(scratch.path)/devices")
        #expect(try file.read().isEmpty, "nothing was said")
        for text in ["", "{}", "[{"] {
            try writeFile(file.path, text)
            #expect(throws: ApusError.self, "\(text)") { try file.read() }
        }
        unlink(file.path)
        symlink("/dev/null", file.path)
        #expect(throws: ApusError.self) { try file.read() }
    }

    @Test(arguments: [
        ("NVIDIA H100 80GB HBM3", "h100"), ("NVIDIA H200", "h200"), ("Tesla T4", "t4"),
        ("NVIDIA A100-SXM4-80GB", "a100"),
        ("NVIDIA GeForce RTX 4090", "rtx4090"), ("NVIDIA L40S", "l40s"),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "a100-1g.5gb"), ("", "unknown"),
    ]) func aKindIsMadeOfTheMakersWords(name: String, kind: String) {
        #expect(DeviceKind.of(name) == kind)
    }

    @Test func declaredDevicesBehaveAsFoundOnesAndSayThatTheyAreNot() {
        var declared = SimulatedDevices(kind: "h100", memoryBytes: 80 << 30, count: 2)
        declared.links.fromHost = 50 << 30
        let driver = SimulatedDriver([declared])
        let found = driver.inventory()
        #expect(found.map(\.description.id) == ["simulated-h100-0", "simulated-h100-1"])
        #expect(found.allSatisfy { $0.description.isSimulated && $0.description.links.fromHost == 50 << 30 })
        driver.hold(InstanceID(rawValue: 1), 7, on: [1])
        driver.hold(InstanceID(rawValue: 2), 5, on: [0, 1])
        #expect(driver.read().map(Self.used) == [5, 12])
        driver.hold(InstanceID(rawValue: 2), 0, on: [])
        #expect(driver.read().map(Self.used) == [0, 7])
    }

    private static func used(_ reading: DeviceReading) -> Int64 {
        if case .used(let bytes, _) = reading { bytes } else { -1 }
    }
}

import ApusCore
import ApusEngine
import ApusLoop
import ApusTelemetry
import ApusTestSupport
import Glibc
import Testing

@testable import ApusServer

@Suite(.serialized, .enabled(if: NVMLStub.reasonToSkip == nil, "a library of NVIDIA's form is compiled by the tests"))
struct NVMLTests {
    @Test func devicesAreFoundWithTheirMemoryLinksAndNodes() throws {
        let stub = try NVMLStub()
        let driver = try NVMLDriver(library: stub.library)
        let found = try driver.inventory()
        #expect(found.map(\.description.id) == ["GPU-0", "GPU-1"])
        #expect(found.allSatisfy { $0.description.kind == "h100" && $0.description.memoryBytes == 80 << 30 })
        #expect(found[1].driver == "550.54.15" && found[1].node == 1 && !found[1].description.isSimulated)
        // Sixteen lanes of the fifth generation: 55 GB/s.
        #expect((50_000_000_000...60_000_000_000).contains(found[0].description.links.fromHost))
    }

    @Test func memoryProcessesAndEventsAreRead() throws {
        let stub = try NVMLStub()
        let driver = try NVMLDriver(library: stub.library)
        _ = try driver.inventory()
        try stub.say(["used 0 5000", "process 0 4242 4000", "used 1 7", "xid 1 79"])
        #expect(driver.read() == [.used(5_000, [DeviceProcess(pid: 4_242, bytes: 4_000)]), .used(7, [])])
        #expect(driver.events() == [DeviceEvent(devices: [1], kind: .xid(79))])
        #expect(driver.events().isEmpty)
        try stub.say(["lost 1"])
        #expect(driver.read() == [.used(0, []), .lost("GPU is lost")])
    }

    @Test func partsOfADividedCardAreDevicesAndTheCardIsNot() throws {
        let stub = try NVMLStub()
        try stub.say(["mig"])
        let driver = try NVMLDriver(library: stub.library)
        let found = try driver.inventory()
        #expect(found.map(\.description.id) == ["MIG-0-0", "MIG-0-1", "GPU-1"])
        #expect(found[0].description.kind == "h100-1g.10gb" && found[0].isPart && !found[2].isPart)
        // An error of the card is one of all its parts.
        try stub.say(["mig", "xid 0 48"])
        #expect(driver.events() == [DeviceEvent(devices: [0, 1], kind: .xid(48))])
    }

    @Test func aHostWithoutTheLibraryAndADriverThatRefusesAreToldApart() throws {
        do {
            _ = try NVMLDriver(library: "/nonexistent/libnvidia-ml.so.1")
            Issue.record("a library that is not there was opened")
        } catch { #expect(error.code == .notFound) }
        let stub = try NVMLStub()
        try stub.say(["refuse 9"])
        do {
            _ = try NVMLDriver(library: stub.library)
            Issue.record("a driver that refuses was opened")
        } catch { #expect(error.code == .internal && error.message.contains("Driver Not Loaded")) }
    }

    @Test func theHostAttributesWhatItsOwnProcessesHold() throws {
        let stub = try NVMLStub()
        let child = try ChildProcess("/bin/sleep", ["60"], in: "/tmp")
        defer {
            child.signal(SIGKILL)
            _ = child.wait(seconds: 10)
        }
        try stub.say(["used 0 9000", "process 0 \(child.pid) 6000", "used 1 500", "process 1 1 500"])
        let bed = try HostBed(stub)
        defer { bed.stop() }
        #expect(waitUntil(seconds: 10) { bed.host.devices[0].attributed == 6_000 })
        #expect(bed.host.devices[0].unattributed == 3_000)
        // Somebody else's, by pid.
        #expect(bed.host.devices[1].attributed == 0 && bed.host.devices[1].unattributed == 500)
    }

    @Test func aDriverThatHangsIsLeftAloneAndWhatWaitsIsAnswered() throws {
        let stub = try NVMLStub()
        let bed = try HostBed(stub)
        #expect(waitUntil(seconds: 10) { bed.host.devices[0].readAt != nil })
        try stub.say(["hang"])
        #expect(waitUntil(seconds: 30) { bed.host.isHanging })
        #expect(bed.host.devices[0].health == .quarantined("the driver does not answer"))
        try stub.say([])
        #expect(waitUntil(seconds: 20) { !bed.host.isHanging })
        #expect(bed.host.devices.allSatisfy { $0.health == .working })
        bed.stop()
    }

    @Test func memoryThatDoesNotComeBackQuarantinesItsDevice() throws {
        let stub = try NVMLStub()
        let child = try ChildProcess("/bin/sleep", ["60"], in: "/tmp")
        defer {
            child.signal(SIGKILL)
            _ = child.wait(seconds: 10)
        }
        try stub.say(["used 0 \(60 << 30)", "process 0 \(child.pid) \(60 << 30)"])
        let bed = try HostBed(stub)
        defer { bed.stop() }
        #expect(waitUntil(seconds: 10) { bed.host.devices[0].attributed > 0 })
        let sleeper = ResultSlot<Bool>()
        bed.host.whenReturned([DeviceID(0)], quarantines: false) { sleeper.fill($0) }
        #expect(sleeper.take() == false, "it holds what nobody was promised")
        #expect(bed.host.devices[0].health == .working, "its end may bring it back")
        let slots = [ResultSlot<Bool>(), ResultSlot<Bool>()]
        bed.host.whenReturned([DeviceID(1)]) { slots[1].fill($0) }
        bed.host.whenReturned([DeviceID(0)]) { slots[0].fill($0) }
        #expect(slots[1].take() == true)
        #expect(slots[0].take() == false)
        #expect(bed.host.devices[0].health == .quarantined("memory of an instance that is gone is still in use"))
        #expect(try bed.host.clear("GPU-0").health == .working)
        #expect(throws: ApusError.self) { try bed.host.clear("GPU-9") }
    }
}

/// A host of the stub's devices on a loop of its own.
private final class HostBed {
    let loop = EventLoop()
    let folder = ScratchDirectory("devices")
    let host: DeviceHost

    init(_ stub: NVMLStub) throws {
        var settings = PoolSettings()
        settings.library = stub.library
        settings.hang = .seconds(1)
        self.host = DeviceHost(settings, dataDirectory: self.folder.path, loop: self.loop, journal: Log(level: .error))
        try #require(self.host.devices.count == 2)
        self.host.start()
    }

    func stop() {
        self.host.stop()
        self.loop.stop()
    }
}

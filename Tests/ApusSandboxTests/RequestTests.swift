import ApusCore
import CShims
import Testing

@testable import ApusSandbox

@Suite("Requests to the nursery")
struct RequestTests {
    private static let hash = String(repeating: "a", count: 64)

    private func encode(_ change: (inout LaunchOrder) -> Void) throws -> EncodedRequest {
        var order = LaunchOrder(runtime: .native, bundle: Self.hash, arguments: ["probe"])
        change(&order)
        return try EncodedRequest(launching: order, ticket: 7)
    }

    @Test("The layout is the one the nursery was built with")
    func layout() {
        #expect(MemoryLayout<nursery_request>.size == 312)
        #expect(MemoryLayout<nursery_event>.size == 360)
        #expect(MemoryLayout<nursery_audit_entry>.size == 2_072 && MemoryLayout<nursery_denial>.size == 16)
    }

    @Test("An order is encoded whole")
    func encodesAll() throws {
        let request = try self.encode {
            $0.layer = String(repeating: "b", count: 64)
            $0.arguments = ["a", "bc"]
            $0.environment = ["X=1"]
            $0.bounds.memoryBytes = 5
        }
        #expect(request.head.ticket == 7 && request.head.runtime == 2 && request.head.memory_bytes == 5)
        #expect(request.head.argument_count == 2 && request.head.argument_bytes == 5)
        #expect(request.head.environment_count == 1 && request.head.environment_bytes == 4)
        #expect(request.strings == Array("a\0bc\0X=1\0".utf8))
        #expect(withUnsafeBytes(of: request.head.layer) { $0.allSatisfy { $0 == UInt8(ascii: "b") } })
    }

    @Test(
        "A name that is no content hash is refused",
        arguments: ["", "a", "../../etc/passwd", String(repeating: "A", count: 64), String(repeating: "a", count: 65)])
    func refusesNames(_ name: String) {
        #expect(throws: ApusError.self) { try self.encode { $0.bundle = name } }
        if !name.isEmpty { #expect(throws: ApusError.self) { try self.encode { $0.layer = name } } }
        #expect(throws: ApusError.self) { try EncodedRequest(NURSERY_SEAL, layer: name, ticket: 1) }
    }

    @Test("Arguments and environment at their bounds pass, over them they are refused")
    func bounds() throws {
        let count = Limits.Sandbox.argumentCount
        _ = try self.encode { $0.arguments = Array(repeating: "x", count: count) }
        #expect(throws: ApusError.self) { try self.encode { $0.arguments = Array(repeating: "x", count: count + 1) } }
        let variables = Limits.Sandbox.environmentCount
        _ = try self.encode { $0.environment = Array(repeating: "X=1", count: variables) }
        #expect(throws: ApusError.self) {
            try self.encode { $0.environment = Array(repeating: "X=1", count: variables + 1) }
        }
        let full = String(repeating: "x", count: SandboxBounds.argumentsBytes - 1)
        _ = try self.encode { $0.arguments = [full] }
        #expect(throws: ApusError.self) { try self.encode { $0.arguments = [full + "x"] } }
        let assigned = "X=" + String(repeating: "x", count: SandboxBounds.environmentBytes - 3)
        _ = try self.encode { $0.environment = [assigned] }
        #expect(throws: ApusError.self) { try self.encode { $0.environment = [assigned + "x"] } }
        _ = try self.encode { $0.bounds.openFiles = Limits.Sandbox.openFiles }
        #expect(throws: ApusError.self) { try self.encode { $0.bounds.openFiles = Limits.Sandbox.openFiles + 1 } }
    }

    @Test("A zero byte inside a string is refused: it would become two")
    func refusesZeroBytes() {
        #expect(throws: ApusError.self) { try self.encode { $0.arguments = ["probe\0--evil"] } }
        #expect(throws: ApusError.self) { try self.encode { $0.environment = ["A=1\0LD_PRELOAD=x"] } }
    }

    @Test("What is missing is told by name and with a sentence, and only what concerns functions bars hostile ones")
    func layers() {
        var event = nursery_event()
        event.missing = 1 << UInt64(IsolationLayer.fetchBound.rawValue)
        var report = HostReport(event)
        #expect(report.missing == [.fetchBound] && report.allowsHostile)
        #expect(report.lines.filter { !$0.isEnforced }.map(\.name) == ["fetch-network-bound"])
        #expect(report.lines.allSatisfy { $0.isEnforced == $0.detail.isEmpty })
        event.missing |= 1 << UInt64(IsolationLayer.memory.rawValue)
        report = HostReport(event)
        #expect(!report.allowsHostile)
        event.is_rootless = 1
        event.server_uid = 1_234
        event.missing |= 1 << UInt64(IsolationLayer.ownUser.rawValue)
        report = HostReport(event)
        #expect(report.mode == .rootless && report.lines.first?.name == "user-namespace")
        #expect(report.lines.contains { $0.name == "own-uid" && !$0.isEnforced })
        #expect(
            report.warnings.first
                == "isolation=degraded: no writable cgroup; memory limited by RLIMIT_DATA per process only, "
                + "fork bomb limited by RLIMIT_NPROC for uid 1234 (shared by all workers)")
        #expect(report.warnings.contains { $0.hasPrefix("single-uid") })
        #expect(IsolationLayer.allCases.count == Int(NURSERY_LAYER_COUNT.rawValue))
        #expect(Set(IsolationLayer.allCases.map(\.description)).count == IsolationLayer.allCases.count)
    }
}

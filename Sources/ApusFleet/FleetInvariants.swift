internal import ApusCore
internal import ApusEngine

/// What a fleet promises whatever fails. Each has a test of its name.
public enum FleetInvariant: String, Sendable, CaseIterable {
    case noDeviceOverCapacity
    case noBusyEviction
    case noLostRequest
    case memoryReturns
    case noOrphan
    case noFlap
    case ledgerEqualsObserved
    case costPartsSum
}

/// Looks at a simulated fleet from outside: by what processes really hold and do, not by what the pool has counted.
struct FleetInvariants {
    /// A function that gave an instance back takes no other for so long, while its load stays the same.
    static let coolDown = TimeSpan.seconds(60)

    private let fleet: FleetSimulation.Fleet
    private var fault: String?
    /// Devices whose memory an instance that is gone did not give back.
    private var leaks: Set<Int> = []
    /// Microseconds that instances were on devices, added up from event to event.
    private var held: Int64 = 0
    /// When each function last gave an instance back for want of use.
    private var gaveBack: [Timestamp?]
    /// Reversals: a function took an instance within the cool-down after it gave one back.
    private(set) var flaps = 0

    init(_ fleet: FleetSimulation.Fleet, functions: Int) {
        self.fleet = fleet
        self.gaveBack = [Timestamp?](repeating: nil, count: functions)
    }

    mutating func leaked(_ devices: [DeviceID]) { for device in devices { self.leaks.insert(device.index) } }
    mutating func cleared(_ device: Int) { self.leaks.remove(device) }

    /// - Parameter processes: as they were all that time.
    mutating func passed(_ span: TimeSpan, _ processes: [FleetSimulation.Process]) {
        var holders = 0
        for slot in processes.indices where processes[slot].instance != nil && processes[slot].state.holdsDevice {
            holders += 1
        }
        // An account that forgets one in a hundred.
        let share: Int64 = self.fleet.broken == .costPartsSum ? 99 : 100
        self.held += Int64(holders) * max(0, span.microseconds) * share / 100
    }

    mutating func changed(_ transition: InstanceTransition) {
        let function = Int(transition.function.rawValue)
        if case .busy = transition.from, transition.cause == .eviction || transition.cause == .idle {
            self.fault = "\(FleetInvariant.noBusyEviction): \(transition.instance) was busy"
        }
        if transition.from == .ready, transition.cause == .idle { self.gaveBack[function] = transition.at }
        guard transition.cause == .demand, let gaveBack = self.gaveBack[function] else { return }
        if transition.at - gaveBack < Self.coolDown { self.flaps += 1 }
        self.gaveBack[function] = nil
    }

    /// It is told to leave its device.
    mutating func told(_ instance: InstanceID, _ process: FleetSimulation.Process) {
        guard !process.running.isEmpty else { return }
        self.fault = "\(FleetInvariant.noBusyEviction): \(instance) runs \(process.running.count) requests"
    }

    /// - Returns: the first promise that is broken now.
    func fault(_ pool: Pool, _ processes: [FleetSimulation.Process]) -> String? {
        if let fault = self.fault { return fault }
        var used = [Int64](repeating: 0, count: self.fleet.devices)
        for process in processes {
            guard let instance = process.instance else {
                if process.isAlive { return "\(FleetInvariant.noOrphan): a process that no instance answers for" }
                continue
            }
            for device in process.devices {
                used[device.index] += process.held
                let promised = pool.ledger(device).promised(to: Int32(instance.slot))
                guard process.held > promised, pool.ledger(device).health != .lost else { continue }
                return "\(FleetInvariant.ledgerEqualsObserved): \(process.held) bytes held and \(promised) promised"
            }
        }
        for (device, bytes) in used.enumerated() where bytes > self.fleet.deviceBytes {
            return "\(FleetInvariant.noDeviceOverCapacity): device \(device) holds \(bytes) bytes"
        }
        for device in self.leaks {
            switch pool.ledger(DeviceID(device)).health {
            case .quarantined, .lost: break
            case .working, .draining:
                return "\(FleetInvariant.memoryReturns): device \(device) leaks and is not set apart"
            }
        }
        return nil
    }

    func costFault(_ report: FleetReport) -> String? {
        let parts = report.busy + report.idle + report.moving + report.stuck
        return parts == self.held
            ? nil : "\(FleetInvariant.costPartsSum): parts of \(parts) us of \(self.held) us that devices were held"
    }
}

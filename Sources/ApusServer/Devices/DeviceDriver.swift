internal import ApusCore
internal import ApusEngine

/// What devices there are and what is on them, asked of a driver or made up from a declaration. Its calls may block as long as a driver
/// does: all on one thread of its own.
protocol DeviceDriver: AnyObject {
    /// The devices, in an order that stays.
    /// - Throws: `internal` with what the driver said.
    func inventory() throws(ApusError) -> [FoundDevice]
    /// What is in use, in the order of the inventory.
    func read() -> [DeviceReading]
    /// What happened since the last call.
    func events() -> [DeviceEvent]
}

/// A device with what only people want to know.
struct FoundDevice: Sendable, Equatable {
    var description: DeviceDescription
    /// As its maker calls it.
    var name: String
    /// The driver's version; empty for one that is simulated.
    var driver: String
    /// Of `/dev/nvidia<node>`; nil without one.
    var node: Int?
    /// A part of a card that whoever runs the host divided.
    var isPart = false
}

/// What a driver said of one device.
enum DeviceReading: Sendable, Equatable {
    /// Bytes in use by anybody, and those of them that belong to processes.
    case used(Int64, [DeviceProcess])
    /// It is not there any more.
    case lost(String)
    /// The driver cannot say now.
    case unknown(String)
}

struct DeviceProcess: Sendable, Equatable {
    var pid: Int32
    /// Nil where the driver does not say.
    var bytes: Int64?
}

/// Something that a driver tells by itself.
struct DeviceEvent: Sendable, Equatable {
    enum Kind: Sendable, Equatable {
        /// An error by the driver's number.
        case xid(UInt64)
        /// Memory failed in a way that cannot be corrected.
        case memory
        case unavailable
    }

    /// Places in the inventory: every part of a card that is divided.
    var devices: [Int]
    var kind: Kind

    /// Errors that a program makes on its own account: it dies of them, others on the device do not notice.
    private static let ofPrograms: Set<UInt64> = [8, 13, 31, 32, 37, 38, 43, 45, 63, 68, 92, 94]

    /// What is not known to be harmless to others ends the use of the device until somebody has looked at it.
    var isCritical: Bool {
        switch self.kind {
        case .xid(let number): !Self.ofPrograms.contains(number)
        case .memory, .unavailable: true
        }
    }

    var text: String {
        switch self.kind {
        case .xid(let number): "the driver reported Xid \(number)"
        case .memory: "the driver reported an error of its memory that cannot be corrected"
        case .unavailable: "the driver says that it is unavailable"
        }
    }
}

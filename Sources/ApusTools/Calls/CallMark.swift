public import ApusCore

/// What the sealed state of a request says of how far its call is.
public enum CallMark: Sendable, Equatable {
    /// Nothing of it lasts: its function runs anew with the answers.
    case none
    /// The client was asked whether it may begin, and this state comes with its answer. Each counts once: the bytes name it.
    case asked([UInt8])
    /// It has begun, as this invocation, which asks.
    case begun(InvocationID)
    /// Somebody let it begin, and the other server that runs it asks. Each counts once too.
    case letThrough([UInt8])

    /// Random bytes that name one state.
    static let bytes = 16

    var code: UInt8 {
        switch self {
        case .none: 0
        case .asked: 1
        case .begun: 2
        case .letThrough: 3
        }
    }

    /// What names it; nothing where there is none.
    public var name: [UInt8] {
        switch self {
        case .none: return []
        case .asked(let name), .letThrough(let name): return name
        case .begun(let id):
            var name: [UInt8] = []
            name.appendLittleEndian(id.high)
            name.appendLittleEndian(id.low)
            return name
        }
    }

    init?(code: UInt8, name: [UInt8]) {
        switch code {
        case 0 where name.isEmpty: self = .none
        case 1 where name.count == Self.bytes: self = .asked(name)
        case 2 where name.count == Self.bytes:
            let bytes = name.span.bytes
            self = .begun(
                InvocationID(
                    high: bytes.littleEndian(at: 0, as: UInt64.self), low: bytes.littleEndian(at: 8, as: UInt64.self)))
        case 3 where name.count == Self.bytes: self = .letThrough(name)
        default: return nil
        }
    }
}

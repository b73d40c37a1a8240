/// What the sealed state of a request says of its approval. Each state of a call that needs one counts once: the bytes name it.
public enum ApprovalMark: Sendable, Equatable {
    /// Nothing was asked.
    case none
    /// The client was asked, and this state comes with its answer.
    case asked([UInt8])
    /// It is approved; the function asks something of its own.
    case granted([UInt8])

    /// Random bytes that name one state.
    static let bytes = 16

    var code: UInt8 {
        switch self {
        case .none: 0
        case .asked: 1
        case .granted: 2
        }
    }

    /// What names the state; nothing where there is none.
    public var name: [UInt8] {
        switch self {
        case .none: []
        case .asked(let name), .granted(let name): name
        }
    }

    init?(code: UInt8, name: [UInt8]) {
        switch code {
        case 0 where name.isEmpty: self = .none
        case 1 where name.count == Self.bytes: self = .asked(name)
        case 2 where name.count == Self.bytes: self = .granted(name)
        default: return nil
        }
    }
}

public import ApusCore

/// An entry of the ledger that says something of one open invocation, until it has its terminal state: a restart finds it there without
/// reading `apus.invocations`.
public enum InvocationMark: Sendable, Equatable {
    /// It is to be cancelled.
    case cancel(Offset)
    /// Its handler asked: ``InvocationQuestions/mark``.
    case asked(Offset)
    /// What its caller answered to one question, JSON.
    case answer(Offset, question: String)

    /// - Parameter prefix: of the queue's entries.
    public init?(key: [UInt8], prefix: [UInt8]) {
        guard key.starts(with: prefix) else { return nil }
        let parts = String(decoding: key[prefix.count...], as: UTF8.self).split(
            separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count >= 2, let offset = Offset(parts[1]), offset >= 0 else { return nil }
        switch (String(parts[0]), parts.count) {
        case ("cancel", 2): self = .cancel(offset)
        case ("asked", 2): self = .asked(offset)
        case ("answer", 3): self = .answer(offset, question: String(parts[2]))
        default: return nil
        }
    }

    public var offset: Offset {
        switch self {
        case .cancel(let offset), .asked(let offset), .answer(let offset, _): offset
        }
    }

    /// The same of an invocation that lies elsewhere now.
    public func moved(to offset: Offset) -> InvocationMark {
        switch self {
        case .cancel: .cancel(offset)
        case .asked: .asked(offset)
        case .answer(_, let question): .answer(offset, question: question)
        }
    }

    public func key(prefix: [UInt8]) -> [UInt8] {
        switch self {
        case .cancel(let offset): prefix + Array("cancel/\(offset)".utf8)
        case .asked(let offset): prefix + Array("asked/\(offset)".utf8)
        case .answer(let offset, let question): prefix + Array("answer/\(offset)/\(question)".utf8)
        }
    }
}

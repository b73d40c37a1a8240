internal import ApusJSON

/// What the person at the caller's client said.
public enum ApprovalAnswer: Sendable, Equatable {
    case accepted
    case declined
    /// The question was closed, or the client could not ask it.
    case cancelled

    /// - Parameter json: an `ElicitResult`. Whoever agrees says so twice, by sending the form and by what is in it, since a client may
    ///   send a form with nothing filled in.
    /// - Returns: nil for what says neither.
    public init?(_ json: [UInt8]) {
        guard let value = try? JSONValue.parse(json) else { return nil }
        switch value["action"]?.string {
        case "accept": self = value["content"]?[ApprovalQuestion.field]?.boolean == true ? .accepted : .declined
        case "decline": self = .declined
        case "cancel": self = .cancelled
        default: return nil
        }
    }
}

internal import ApusCore

/// What is asked of a function over HTTP.
struct InvocationCall: Sendable {
    /// How it was asked, which shapes the answer.
    enum Way: Sendable, Equatable {
        /// `…/invoke`: the answer is the result.
        case direct
        /// Below `/fn`: the function chooses status and headers, and who has no token is not told why it failed.
        case trigger(isAnonymous: Bool)
    }

    var function: ResourceName
    var id: InvocationID
    var way: Way

    var isTrigger: Bool { self.way != .direct }
}

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

    let function: ResourceName
    let id: InvocationID
    /// The id as it is written.
    let identity: String
    let way: Way

    init(function: ResourceName, id: InvocationID, way: Way) {
        self.function = function
        self.id = id
        self.identity = id.description
        self.way = way
    }

    var isTrigger: Bool { self.way != .direct }
}

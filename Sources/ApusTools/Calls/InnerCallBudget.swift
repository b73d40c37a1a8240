internal import ApusCore

/// How much the function of one call may call itself: how often, how much at once, how many bytes of results. A machine.
public struct InnerCallBudget: Sendable {
    public enum Refusal: Sendable, Equatable {
        /// It was itself called by a function.
        case depth
        case count(Int)
        case concurrent(Int)
        case bytes(Int)

        public var text: String {
            switch self {
            case .depth: "a tool that was called by a function calls no other: the depth is one"
            case .count(let most): "one run calls at most \(most) tools"
            case .concurrent(let most): "at most \(most) calls of one run are under way at once: wait for one of them"
            case .bytes(let most): "the results of one run have at most \(most) bytes together"
            }
        }
    }

    private let mayCall: Bool
    private var count = 0
    private var running = 0
    private var bytes = 0

    /// - Parameter isInner: it belongs to a call that a function made.
    public init(isInner: Bool) { self.mayCall = !isInner }

    /// - Returns: nil when the call may go on; one ``end(bytes:)`` follows then.
    public mutating func begin() -> Refusal? {
        guard self.mayCall else { return .depth }
        guard self.count < Limits.Tools.innerCalls else { return .count(Limits.Tools.innerCalls) }
        guard self.running < Limits.Tools.innerCallsAtOnce else { return .concurrent(Limits.Tools.innerCallsAtOnce) }
        guard self.bytes < Limits.Tools.innerBytes else { return .bytes(Limits.Tools.innerBytes) }
        self.count += 1
        self.running += 1
        return nil
    }

    /// - Parameter bytes: of its answer.
    /// - Returns: why the answer cannot be given; nil when it can.
    public mutating func end(bytes: Int) -> Refusal? {
        self.running -= 1
        guard bytes <= Limits.Tools.innerBytes - self.bytes else {
            self.bytes = Limits.Tools.innerBytes
            return .bytes(Limits.Tools.innerBytes)
        }
        self.bytes += bytes
        return nil
    }
}

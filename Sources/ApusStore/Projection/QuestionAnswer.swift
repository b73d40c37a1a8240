/// What somebody answered to one question of an invocation, as the topic says it.
public struct QuestionAnswer: Sendable, Equatable {
    /// The invocation's id.
    public var invocation: String
    public var question: String
    public var json: [UInt8]
}

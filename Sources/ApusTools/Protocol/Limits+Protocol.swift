public import ApusCore

extension Limits.Tools {
    /// Objects and arrays inside one another in a message.
    public static let messageDepth = 128
    /// The id of a request.
    public static let messageIDBytes = 256
    /// A body that is read whole.
    public static let messageBytes = 4 << 20
    /// How much of a larger one is read, so that its sender sees the answer.
    public static let discardedBytes = 16 << 20
    /// At most 20 reports of progress a second.
    public static let progressMilliseconds: Int64 = 50
    /// What a sealed state of a request may hold of answers.
    public static let answersBytes = 128 << 10
    /// Questions that one handler may ask at once.
    public static let questions = 16
    /// How long a question may stay unanswered.
    public static let questionSeconds: Int64 = 86_400
}

public import ApusEngine

/// A tool that a function calls while it runs.
public struct FunctionCall: Sendable {
    public enum Answer: Sendable {
        /// JSON.
        case result([UInt8])
        case failure(Failure)
    }

    /// Chosen by the worker, unique within its attempt.
    public let number: UInt32
    /// As the worker wrote it: nothing of it was looked at.
    public let json: [UInt8]
    /// Takes the answer, from any thread; later ones, and one that comes after the attempt has ended, go nowhere.
    public let answer: @Sendable (Answer) -> Void

    public init(number: UInt32, json: [UInt8], answer: @escaping @Sendable (Answer) -> Void) {
        self.number = number
        self.json = json
        self.answer = answer
    }
}

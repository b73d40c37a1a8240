/// A prompt that agents may ask a function for: `spec.prompt`.
public struct PromptManifest: Sendable, Equatable {
    public struct Argument: Sendable, Equatable {
        public var name: String
        public var title: String?
        public var about: String?
        public var isRequired: Bool
    }

    /// Where the values come from that are offered while somebody types.
    public enum Completion: Sendable, Equatable {
        /// The function is asked.
        case function
        /// By name of the argument.
        case values([String: [String]])
    }

    public var name: String
    public var title: String?
    public var arguments: [Argument]
    public var completion: Completion?
    /// Each of these a caller must have.
    public var scopes: [String]
}

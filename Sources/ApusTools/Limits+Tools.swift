public import ApusCore

extension Limits {
    /// Bounds of the tool registry.
    public enum Tools {
        /// A tool's name, in characters: what every vendor's model takes.
        public static let nameCharacters = 64
        /// Characters of the hash that a shortened name ends with.
        public static let nameHashCharacters = 8
    }
}

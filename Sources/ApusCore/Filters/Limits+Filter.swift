extension Limits {
    /// Bounds of what a filter may say and of what its evaluation may take.
    public enum Filter {
        /// The text of one expression.
        public static let expressionBytes = 8 * 1024
        /// Operators and parentheses inside one another, filters inside filters: each level is a call on the stack.
        public static let depth = 128
        /// Parts of one filter: operators, values, conditions.
        public static let nodes = 1_024
        /// Different attributes, headers and paths that one filter names.
        public static let references = 64
        /// Steps of one path into data.
        public static let pathSteps = 16
        /// Characters of a pattern after LIKE.
        public static let patternCharacters = 511
        /// Objects and arrays inside one another in data that a filter reads; data nested deeper has no values.
        public static let dataDepth = 64
        /// Texts that one evaluation makes, together.
        public static let madeBytes = 256 * 1024
        /// Bytes of text that one evaluation looks at, together.
        public static let readBytes = 4 << 20
    }
}

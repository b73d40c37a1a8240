public import ApusCore

extension Limits {
    /// Bounds of JSON Schema: a tool's author writes the schema, an agent the arguments, and neither may cost more than this.
    public enum Schema {
        /// One schema's text.
        public static let textBytes = 1 << 20
        /// Objects and arrays of a schema inside one another.
        public static let depth = 128
        /// Subschemas that one schema leads to, with those of what it refers to.
        public static let subschemas = 20_000
        /// What one check may cost: a subschema applied, a member or element walked, a few steps of a pattern.
        public static let steps = 800_000
        /// Subschemas applied inside one another; each takes part of the thread's stack.
        public static let checkDepth = 320
        /// Violations that one check reports.
        public static let violations = 16
        /// Characters of a value or a name that a message repeats.
        public static let quotedCharacters = 60
        /// Values of an `enum` or names of `properties` that a message lists.
        public static let listedNames = 12
        /// A pattern's length in code points.
        public static let patternCharacters = 4_096
        /// Groups of a pattern inside one another.
        public static let patternDepth = 64
        /// Instructions that a pattern compiles to; `a{1000}` takes a thousand.
        public static let patternInstructions = 16_384
    }
}

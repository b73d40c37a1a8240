public import ApusCore

extension Limits {
    /// Bounds of reading JSON.
    public enum JSON {
        /// Objects and arrays inside one another.
        public static let depth = 256
        /// One text, as simdjson's offsets of 32 bits allow.
        public static let textBytes = Int(UInt32.max) - 1
    }
}

/// Whether a pattern can be used in a schema here.
public enum SchemaPattern {
    /// What is wrong with it, to be said after "the pattern"; nil when nothing is.
    public static func problem(_ text: String) -> String? {
        do throws(PatternError) {
            _ = try Pattern(text)
            return nil
        } catch {
            return error.description
        }
    }
}

/// The bounds of the platform as a whole. A module's own bounds are in its own extension of this type.
public enum Limits {
    /// Namespace, function and trigger names.
    public static let labelBytes = 63
    /// What Kafka allows.
    public static let topicNameBytes = 249
    public static let workClassBytes = 32
    /// An event: key, attributes and data together.
    public static let eventBytes = 1 << 20
    /// A record on a topic that Apus makes: an event with what Apus adds.
    public static let recordBytes = 2 << 20
    /// A function's result for a caller; larger ones fail with `result_too_large`.
    public static let resultBytes = 16 << 20
    /// The same of one whose caller takes it in parts, and keeps none of them in memory.
    public static let largeResultBytes = 64 << 20
    /// All attributes of an event, encoded.
    public static let attributesBytes = 64 * 1024
    public static let attributesPerEvent = 256
    public static let keyBytes = 64 * 1024
    /// A frame of the worker protocol, its header included.
    public static let frameBytes = 256 * 1024
    /// Data larger than this goes to a worker by descriptor instead of by pipe, when the worker can receive one.
    public static let inlineDataBytes = 64 * 1024
    /// How many functions an event may pass through before it becomes a dead letter.
    public static let hops = 16
    public static let partitionsPerTopic = 256
    /// What the log remembers for a while is found by a SHA-256, so that no producer's text is ever a key.
    public static let logKeyBytes = 32
}

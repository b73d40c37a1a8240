public import ApusCore

/// A trigger of a function: the events of a topic, or the topic as its table.
public struct TriggerManifest: Sendable, Equatable {
    /// What is done in order.
    public enum Order: String, Sendable { case key, partition, none }

    /// What becomes of a delivery without attempts left.
    public enum OnExhausted: String, Sendable { case deadLetter, block, drop }

    public struct Retry: Sendable, Equatable {
        /// Attempts in all, the first included; 0 has no bound.
        public var attempts: Int
        public var initial: TimeSpan
        public var max: TimeSpan
        /// No further attempt begins later than this after the event was appended; nil has no bound.
        public var maxAge: TimeSpan?
    }

    /// How often an event's outputs may be there.
    public enum Delivery: String, Sendable {
        case atLeastOnce = "at-least-once"
        case exactlyOnce = "exactly-once"
    }

    /// What becomes of an event whose `expirytime` passes before it could run.
    public enum OnExpired: String, Sendable { case skip, deadLetter }

    /// Identity of the trigger's position, unique in the function.
    public var name: String
    public var topic: TopicName
    /// The topic is the function's table. The fields below then hold their defaults and mean nothing.
    public var isTable: Bool
    public var filter: EventFilter
    public var order: Order
    public var from: StartPosition
    public var replyTo: TopicName?
    public var retry: Retry
    /// Nil sends dead letters to `apus.dead`.
    public var deadLetter: TopicName?
    public var onExhausted: OnExhausted
    public var isPaused: Bool
    public var delivery = Delivery.atLeastOnce
    /// How long after an event another one of its source and id is skipped; nil skips none.
    public var dedupWindow: TimeSpan?
    public var onExpired = OnExpired.skip

    /// Where dead letters go.
    public var deadLetterTopic: TopicName { self.deadLetter ?? .dead }
}

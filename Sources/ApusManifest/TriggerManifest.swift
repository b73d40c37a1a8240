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
    }

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

    /// Where dead letters go.
    public var deadLetterTopic: TopicName { self.deadLetter ?? .dead }
}

internal import ApusCore
internal import Synchronization

/// Who wants to know that a topic grew.
final class Followers: Sendable {
    typealias Growth = @Sendable (_ partition: Int, _ end: Offset) -> Void

    private struct Content {
        var next: UInt64 = 0
        var topics: [UInt64: TopicName] = [:]
        var growths: [TopicName: [UInt64: Growth]] = [:]
    }

    private let content = Mutex(Content())

    func add(_ topic: TopicName, _ growth: @escaping Growth) -> FollowToken {
        self.content.withLock { content in
            content.next += 1
            content.topics[content.next] = topic
            content.growths[topic, default: [:]][content.next] = growth
            return FollowToken(rawValue: content.next)
        }
    }

    /// A call that is under way on the writer's thread may still end after this.
    func remove(_ token: FollowToken) {
        self.content.withLock { content in
            guard let topic = content.topics.removeValue(forKey: token.rawValue) else { return }
            content.growths[topic]?[token.rawValue] = nil
            if content.growths[topic]?.isEmpty == true { content.growths[topic] = nil }
        }
    }

    /// Called outside the lock, so that a follower may follow and unfollow.
    func notify(_ topic: TopicName, partition: Int, end: Offset) {
        let growths = self.content.withLock { content in content.growths[topic].map { Array($0.values) } ?? [] }
        for growth in growths { growth(partition, end) }
    }
}

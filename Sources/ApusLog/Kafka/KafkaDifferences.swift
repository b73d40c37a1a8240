internal import Synchronization

/// Settings of Apus's own topics that somebody else has changed on the cluster: said once each, and shown as long as they last.
final class KafkaDifferences: Sendable {
    private let observer: KafkaObserver
    private let known = Mutex<[String: [String]]>([:])

    init(_ observer: KafkaObserver) { self.observer = observer }

    /// - Parameter differences: all of the topic; none when it is as it must be.
    func note(_ topic: String, _ differences: [String]) {
        let isNew = self.known.withLock { known in
            guard (known[topic] ?? []) != differences else { return false }
            known[topic] = differences.isEmpty ? nil : differences
            return !differences.isEmpty
        }
        guard isNew else { return }
        let text = "the topic \(topic) was changed on the cluster: \(differences.joined(separator: "; ")): set it back"
        self.observer.log(4, "admin", text)
    }

    /// A line for each topic.
    var all: [String] {
        self.known.withLock { known in
            known.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value.joined(separator: "; "))" }
        }
    }
}

public import ApusCore
internal import ApusJSON

/// Rewrites records of `apus.control` for a log on which the same events have other offsets and bundles may have other hashes.
public struct ControlMove: Sendable {
    private let positions: @Sendable (TopicPartition, Offset) -> Offset
    private let bundles: [String: String]

    /// - Parameters:
    ///   - bundles: the new hash of each bundle that has one.
    ///   - positions: where what began at an offset begins now.
    public init(bundles: [String: String], positions: @escaping @Sendable (TopicPartition, Offset) -> Offset) {
        self.bundles = bundles
        self.positions = positions
    }

    /// A record as it is on the new log, at the time that it had. One that this version does not understand stays as it is.
    public func moved(_ event: Event) -> Event {
        guard var record = try? ControlRecord(event) else { return event }
        switch record.content {
        case .function(var function):
            function.bundle = self.bundles[function.bundle] ?? function.bundle
            for index in function.triggers.indices {
                let topic = function.triggers[index].topic
                function.triggers[index].starts = function.triggers[index].starts.enumerated().map {
                    self.positions(TopicPartition(topic, $0.offset), $0.element)
                }
            }
            record.content = .function(function)
        case .revision(var kept):
            kept.bundle = self.bundles[kept.bundle] ?? kept.bundle
            record.content = .revision(kept)
        default: return event
        }
        var moved = record.event
        moved.timestamp = event.timestamp
        return moved
    }
}

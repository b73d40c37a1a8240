internal import ApusCore
internal import Synchronization

/// What was appended to each topic, second by second, for the last minutes. One loop samples the log's totals; any thread asks.
final class TopicRates: Sendable {
    /// What was appended in one second.
    struct Second: Sendable, Equatable {
        var second: Int64 = 0
        var records: Int64 = 0
        var bytes: Int64 = 0
    }

    private struct Topic {
        var last: TopicAppended
        var seconds: [Second] = []
    }

    private let topics = Mutex<[TopicName: Topic]>([:])

    /// The log's totals as they are now.
    func sample(_ totals: [TopicAppended], now: Timestamp) {
        let second = now.microseconds / 1_000_000
        self.topics.withLock { topics in
            for total in totals {
                guard var topic = topics[total.topic] else {
                    guard topics.count < Limits.Server.ratedTopics else { continue }
                    // What was written before it was first seen was written in the last second: totals begin at zero.
                    topics[total.topic] = Topic(last: total, seconds: [Second(second, total)])
                    continue
                }
                guard total.records != topic.last.records else { continue }
                topic.seconds.append(
                    Second(
                        second: second, records: max(0, total.records - topic.last.records),
                        bytes: max(0, total.bytes - topic.last.bytes)))
                topic.seconds.removeFirst(max(0, topic.seconds.count - Limits.Server.rateSeconds))
                topic.last = total
                topics[total.topic] = topic
            }
        }
    }

    /// Of each topic that was ever written since the start: what was appended in each of the last seconds, oldest first.
    func rates(seconds: Int, now: Timestamp) -> [(topic: TopicName, records: [Int64], bytes: [Int64])] {
        let newest = now.microseconds / 1_000_000
        return self.topics.withLock { topics in
            topics.map { name, topic in
                var records = [Int64](repeating: 0, count: seconds)
                var bytes = records
                for entry in topic.seconds {
                    let place = seconds - 1 - Int(clamping: newest - entry.second)
                    guard records.indices.contains(place) else { continue }
                    records[place] += entry.records
                    bytes[place] += entry.bytes
                }
                return (name, records, bytes)
            }.sorted { $0.0 < $1.0 }
        }
    }
}

extension TopicRates.Second {
    fileprivate init(_ second: Int64, _ total: TopicAppended) {
        self.init(second: second, records: total.records, bytes: total.bytes)
    }
}

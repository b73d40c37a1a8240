import ApusCore
import ApusEngine
import ApusLog
import ApusLoop

/// The log of a server that has ended, as it lies on the disk.
struct EmbeddedLogReading {
    private let log: EmbeddedLog

    init(_ directory: String) throws {
        let clock = SystemClock()
        self.log = try EmbeddedLog(directory: directory, configuration: EmbeddedLogConfiguration()) { clock.now }
    }

    func close() { self.log.close() }

    func events(of topic: TopicName) throws -> [Event] {
        var events: [Event] = []
        for partition in 0..<(self.log.topic(topic)?.partitions ?? 0) {
            let place = TopicPartition(topic, partition)
            let bounds = try self.log.bounds(of: place)
            var next = bounds.start
            while next < bounds.end {
                next = try self.log.read(place, from: next, maxRecords: 1_000, maxBytes: 64 << 20) { _, block in
                    if let event = try? EventBlock.decode(block.bytes) { events.append(event) }
                    return true
                }
            }
        }
        return events
    }

    /// How many records of a function's queue the ledger leaves unsettled.
    func unsettled(_ prefix: String) throws -> Int {
        var count = 0
        for (key, value) in try self.log.ledger(prefix: Array(prefix.utf8)) {
            guard let state = try? LedgerState(decoding: value) else {
                count += 1
                continue
            }
            let parts = String(decoding: key, as: UTF8.self).split(separator: "/")
            guard let namespace = Namespace(String(parts[0])), let name = ResourceName(namespace, String(parts[1]))
            else {
                continue
            }
            let end = try self.log.bounds(of: TopicPartition(.invoke(name), 0)).end
            count += Int(end - state.watermark) - state.settled.reduce(0) { $0 + $1.count }
        }
        return count
    }
}

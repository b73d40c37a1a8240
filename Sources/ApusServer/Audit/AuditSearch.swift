internal import ApusCore
internal import ApusJSON

/// Which records of the audit somebody looks for, and one page of them, oldest first within each server's records.
struct AuditSearch: Sendable {
    var namespace: Namespace?
    var principal: String?
    var subject: String?
    var decision: String?
    var since: Timestamp?
    var until: Timestamp?
    var limit = 100
    /// Where to go on: an offset of each partition.
    var after: [Int: Offset] = [:]

    struct Page: Sendable {
        /// As they are on the log, byte for byte.
        var records: [[UInt8]] = []
        var next: [Int: Offset] = [:]
        var isAtEnd = true
    }

    /// On a thread that may block.
    func page(of log: any EventLog) throws(ApusError) -> Page {
        var page = Page()
        var left = Limits.Audit.scannedPerPage
        for partition in 0..<Limits.Audit.partitions {
            let place = TopicPartition(.audit, partition)
            let bounds = try log.bounds(of: place)
            var next = max(bounds.start, self.after[partition] ?? 0)
            if self.after.isEmpty, let since = self.since { next = max(next, try log.offset(of: place, at: since)) }
            if left > 0, page.records.count < self.limit {
                next = try log.readAll(
                    place, from: next, to: bounds.end, maxRecords: left, maxBytes: Limits.recordBytes
                ) { _, block in
                    left -= 1
                    if let event = try? EventBlock.decode(block.bytes), let data = event.data,
                        self.wants(data, event.timestamp)
                    {
                        page.records.append(data)
                    }
                    return left > 0 && page.records.count < self.limit
                }
            }
            page.next[partition] = next
            if next < bounds.end { page.isAtEnd = false }
        }
        return page
    }

    private func wants(_ data: [UInt8], _ time: Timestamp) -> Bool {
        if let until = self.until, time >= until { return false }
        if let since = self.since, time < since { return false }
        guard let json = try? JSONValue.parse(data) else { return self.isUnfiltered }
        func fits(_ wanted: String?, _ member: String) -> Bool {
            wanted.map { $0.utf8.elementsEqual((json[member]?.string ?? "").utf8) } ?? true
        }
        return fits(self.namespace?.name, "namespace") && fits(self.principal, "principal")
            && fits(self.subject, "subject") && fits(self.decision, "decision")
    }

    private var isUnfiltered: Bool {
        self.namespace == nil && self.principal == nil && self.subject == nil && self.decision == nil
    }
}

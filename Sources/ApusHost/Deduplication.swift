internal import ApusCore
internal import ApusCrypto
internal import ApusEngine

/// How the events of one partition of a trigger are told from their repetitions: by a digest of trigger, partition, source and id.
struct Deduplication: Sendable {
    /// Where an event's source and id lie in its block.
    struct Place {
        var source: Range<Int>?
        var id: Range<Int>?
    }

    /// The ledger's key of the partition: another trigger's events are others.
    let scope: [UInt8]
    /// How long after an event another one of its source and id is a duplicate.
    let window: TimeSpan

    /// - Returns: nil for an event that lacks one of the two, which nothing repeats.
    func identity(_ place: Place, in block: UnsafeRawBufferPointer) -> EventIdentity? {
        guard let source = place.source, let id = place.id else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(self.scope.count + source.count + id.count + 8)
        // Lengths first, so that no two different pairs are the same bytes.
        bytes.appendLittleEndian(UInt32(self.scope.count))
        bytes.appendLittleEndian(UInt32(source.count))
        bytes += self.scope
        bytes.append(contentsOf: block[source])
        bytes.append(contentsOf: block[id])
        return EventIdentity(SHA256.hash(bytes))
    }

    /// Looks up which records repeat one that the log remembers. A repetition comes after its first: what is read again after a restart
    /// is none of a later event that settled before it.
    func mark(_ records: inout [RecordSummary], _ log: any EventLog) throws(ApusError) {
        let asked = records.indices.filter { records[$0].identity != nil }
        guard !asked.isEmpty else { return }
        let known = try log.remembered(asked.map { records[$0].identity?.bytes ?? [] })
        for (index, value) in zip(asked, known) {
            guard let first = value.flatMap(Known.init), first.offset < records[index].offset else { continue }
            records[index].isDuplicate = records[index].appended <= first.appended + self.window
        }
    }

    /// What the log is to remember with a write.
    static func keys(_ events: [RememberedEvent], now: Timestamp) -> [LogBatch.KeyWrite] {
        events.map { event in
            LogBatch.KeyWrite(
                key: event.identity.bytes, value: Known(offset: event.offset, appended: event.appended).encoded,
                keptUntil: now + event.window)
        }
    }

    // MARK: how far the log was read for it

    /// Under which a node remembers how far it knows the partition's events.
    var markKey: [UInt8] { SHA256.hash(self.scope + Array("/seen".utf8)) }

    /// - Parameter offset: everything before it is settled, and remembered here as long as it may be repeated.
    func mark(_ offset: Offset, now: Timestamp) -> LogBatch.KeyWrite {
        var value: [UInt8] = []
        value.appendLittleEndian(offset)
        return LogBatch.KeyWrite(key: self.markKey, value: value, keptUntil: now + self.window)
    }

    static func offset(_ mark: [UInt8]) -> Offset? {
        mark.count == 8 ? mark.span.bytes.littleEndian(at: 0, as: Int64.self) : nil
    }

    /// What stands beside an identity.
    private struct Known {
        var offset: Offset
        var appended: Timestamp

        init(offset: Offset, appended: Timestamp) {
            self.offset = offset
            self.appended = appended
        }

        init?(_ bytes: [UInt8]) {
            guard bytes.count == 16 else { return nil }
            let span = bytes.span.bytes
            self.offset = span.littleEndian(at: 0, as: Int64.self)
            self.appended = Timestamp(microseconds: span.littleEndian(at: 8, as: Int64.self))
        }

        var encoded: [UInt8] {
            var bytes: [UInt8] = []
            bytes.appendLittleEndian(self.offset)
            bytes.appendLittleEndian(self.appended.microseconds)
            return bytes
        }
    }
}

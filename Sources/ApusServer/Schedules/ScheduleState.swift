internal import ApusCore
internal import ApusJSON
internal import ApusStore

/// How far a scheduled trigger has come: what lasts of it, as its record on `apus.schedule`.
struct ScheduleState: Sendable, Equatable {
    /// A firing that the log has.
    struct Last: Sendable, Equatable {
        /// The time it stands for.
        var due: Timestamp
        var fired: Timestamp
        /// Known once it was accepted, and written a moment later: a server that is killed between forgets it.
        var invocation: InvocationID?
    }

    var key: ScheduleKey
    var generation: UInt64
    /// All times up to this one are dealt with.
    var position: Timestamp
    /// For those who read the record; the machine finds it anew from the position, since zones may change.
    var next: Timestamp?
    var last: Last?
    /// Missed times that were made up for in a row.
    var madeUp = 0
    var fired: Int64 = 0
    /// Times that were left out.
    var skipped: Int64 = 0
}

extension ScheduleState {
    static let format: Int64 = 1

    /// The record for the log.
    var event: Event {
        var json: JSONValue = [
            "format": .integer(Self.format), "generation": .number(self.generation),
            "position": .integer(self.position.microseconds), "next": Self.json(self.next),
            "madeUp": .number(self.madeUp), "fired": .integer(self.fired), "skipped": .integer(self.skipped),
        ]
        if let last = self.last {
            json["last"] = [
                "due": .integer(last.due.microseconds), "fired": .integer(last.fired.microseconds),
                "invocation": last.invocation.map { .string($0.description) } ?? .null,
            ]
        }
        var event = Event(key: Array(self.key.description.utf8), data: json.encoded())
        event["type"] = "dev.apus.schedule.state"
        event["source"] = "apus"
        event["id"] = "\(self.key)/\(self.position.microseconds)"
        event["datacontenttype"] = "application/json"
        return event
    }

    private static func json(_ time: Timestamp?) -> JSONValue { time.map { .integer($0.microseconds) } ?? .null }

    var append: LogBatch.Append {
        LogBatch.Append(topic: .schedule, partition: 0, block: EventBlock.encode(self.event))
    }

    /// What removes a trigger's record.
    static func removal(_ key: ScheduleKey) -> LogBatch.Append {
        LogBatch.Append(
            topic: .schedule, partition: 0,
            block: EventBlock.encode(Event(key: Array(key.description.utf8), data: nil)))
    }

    /// - Returns: nil when the record is none that this version writes.
    init?(_ event: Event) {
        guard let key = event.key.flatMap({ ScheduleKey(String(decoding: $0, as: UTF8.self)) }), let data = event.data,
            let json = try? JSONValue.parse(data), json["format"]?.integer == Self.format,
            let generation = json["generation"]?.unsigned, let position = json["position"]?.integer
        else { return nil }
        self.init(
            key: key, generation: generation, position: Timestamp(microseconds: position),
            next: json["next"]?.integer.map(Timestamp.init(microseconds:)), last: json["last"].flatMap(Last.init),
            madeUp: json["madeUp"]?.int ?? 0, fired: json["fired"]?.integer ?? 0, skipped: json["skipped"]?.integer ?? 0
        )
    }
}

extension ScheduleState.Last {
    init?(_ json: JSONValue) {
        guard let due = json["due"]?.integer, let fired = json["fired"]?.integer else { return nil }
        self.init(
            due: Timestamp(microseconds: due), fired: Timestamp(microseconds: fired),
            invocation: json["invocation"]?.string.flatMap { InvocationID($0) })
    }
}

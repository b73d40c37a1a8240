internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusJSON
internal import ApusStore
internal import ApusTelemetry

/// A recent delivery as `/v1/deliveries` shows it.
extension DeliverySnapshot {
    /// - Parameter log: where the event is looked up; what is gone there is left out.
    func json(_ log: any EventLog) -> JSONValue {
        var json: JSONValue = [
            "id": .string(self.invocation.description), "state": .string(self.state.rawValue),
            "namespace": .string(self.function.namespace.name), "function": .string(self.function.name),
            "revision": .string(self.revision), "arrived": .string(RFC3339.format(self.arrivedAt)),
            "attempts": .number(self.attempts),
            "lastAttempts": .array(self.lastAttempts.map(\.json)),
        ]
        if self.settledAt > .zero {
            json["settled"] = .string(RFC3339.format(self.settledAt))
            json["committing"] = self.committing.map { .number($0.microseconds) } ?? .null
        }
        if !self.message.isEmpty { json["message"] = .string(self.message) }
        var trace = self.trace?.description
        if let place = self.place {
            json["trigger"] = self.trigger.map { .string($0) } ?? .null
            json["topic"] = .string(place.partition.topic.onLog)
            json["partition"] = .number(place.partition.partition)
            json["offset"] = .number(place.offset)
            try? log.records(at: [place]) { _, block in
                guard let block else { return }
                trace = trace ?? EventTrace(block)?.context.trace.description
                json["event"] = Self.event(block)
                if self.arrivedAt == .zero, let layout = try? EventLayout(parsing: block.bytes) {
                    json["arrived"] = .string(RFC3339.format(layout.timestamp))
                }
            }
        }
        json["trace"] = trace.map { .string($0) } ?? .null
        return json
    }

    /// What an event is called and how its key hashes; nothing of its data, and of its key no more than tells two apart.
    private static func event(_ block: UnsafeRawBufferPointer) -> JSONValue {
        guard let layout = try? EventLayout(parsing: block.bytes) else { return .null }
        var json: JSONValue = ["bytes": .number(layout.dataCount)]
        if let key = layout.key {
            json["keyHash"] = .string(
                hexadecimal(KeyHash.hash(UnsafeRawBufferPointer(rebasing: block[key]))))
        }
        for attribute in (try? layout.decodeAttributes(in: block.bytes)) ?? [] where attribute.kind != .header {
            guard ["id", "source", "type"].contains(attribute.name) else { continue }
            json[attribute.name] = .string(String(attribute.text.prefix(Limits.Server.shownAttributeCharacters)))
        }
        return json
    }
}

extension AttemptNote {
    var json: JSONValue {
        [
            "number": .number(self.number), "worker": .number(self.worker.rawValue),
            "dispatched": .string(RFC3339.format(self.dispatchedAt)),
            "ended": self.endedAt > .zero ? .string(RFC3339.format(self.endedAt)) : .null,
            "code": self.code.map { .string($0.rawValue) } ?? .null, "timing": self.timing.json,
        ]
    }
}

internal import ApusCore
public import ApusJSON

// What the API answers for a row; the command line reads the same. Times are RFC 3339.

extension FunctionRow {
    public var json: JSONValue {
        [
            "kind": "Function", "namespace": .string(self.namespace), "name": .string(self.name), "generation": .number(self.generation),
            "revision": .string(self.revision), "bundle": .string(self.bundle), "layer": self.layer.map { .string($0) } ?? .null,
            "created": .string(RFC3339.format(self.created)), "updated": .string(RFC3339.format(self.updated)),
            "triggers": stored(self.triggers), "manifest": stored(self.manifest),
        ]
    }
}

extension RevisionRow {
    public var json: JSONValue {
        [
            "revision": .string(self.revision), "generation": .number(self.generation), "bundle": .string(self.bundle),
            "layer": self.layer.map { .string($0) } ?? .null, "deployed": .string(RFC3339.format(self.deployed)),
            "manifest": stored(self.manifest),
        ]
    }
}

extension TopicRow {
    public var json: JSONValue {
        [
            "kind": "Topic", "namespace": .string(self.namespace), "name": .string(self.name), "generation": .number(self.generation),
            "created": .string(RFC3339.format(self.created)), "updated": .string(RFC3339.format(self.updated)),
            "manifest": stored(self.manifest),
        ]
    }
}

extension DeadLetterRow {
    public var json: JSONValue {
        [
            "id": .string(self.id.description), "state": .string(self.state.rawValue), "namespace": .string(self.reason.namespace),
            "function": .string(self.reason.function), "trigger": .string(self.reason.trigger),
            "revision": .string(self.reason.revision), "topic": .string(self.reason.topic), "partition": .number(self.reason.partition),
            "offset": .integer(self.reason.offset), "attempts": .number(self.reason.attempts), "code": .string(self.reason.code),
            "message": .string(self.reason.message), "detail": .string(self.reason.detail),
            "time": .string(RFC3339.format(self.reason.time)), "eventId": .string(self.eventID), "eventType": .string(self.eventType),
            "decided": self.decided.map { .string(RFC3339.format($0)) } ?? .null, "sequence": .integer(self.sequence),
        ]
    }
}

extension LogRow {
    public var json: JSONValue {
        [
            "sequence": .integer(self.sequence), "time": .string(RFC3339.format(self.line.time)), "level": .string(self.line.level.name),
            "worker": .number(self.line.worker), "invocation": .string(self.line.invocation),
            "revision": .string(self.line.revision), "text": .string(self.line.text),
        ]
    }
}

/// JSON that this code has written into a column.
private func stored(_ text: String) -> JSONValue {
    do throws(ApusError) { return try JSONValue.parse(text) } catch { return .string(text) }
}

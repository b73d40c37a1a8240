internal import ApusCore
internal import ApusJSON

/// Commands about replays, and about many dead letters, as the payload of a ``Command``.
extension ReplayOrder {
    var commandJSON: JSONValue {
        [
            "trigger": self.trigger.map { .string($0) } ?? .null,
            "from": self.from.map { .integer($0.microseconds) } ?? .null,
            "to": self.to.map { .integer($0.microseconds) } ?? .null,
            "perSecond": self.perSecond.map { .integer(Int64($0)) } ?? .null, "outputs": .boolean(self.writesOutputs),
            "principal": .string(self.principal),
        ]
    }

    init(commandJSON json: JSONValue) throws(ApusError) {
        guard let outputs = json["outputs"]?.boolean, let principal = json["principal"]?.string else {
            throw ControlCommand.wrong("replay")
        }
        self.init(
            trigger: json["trigger"]?.string, from: json["from"]?.integer.map { Timestamp(microseconds: $0) },
            to: json["to"]?.integer.map { Timestamp(microseconds: $0) },
            perSecond: json["perSecond"]?.integer.map { Int(clamping: $0) }, writesOutputs: outputs,
            principal: principal)
    }
}

extension ReplayID {
    init(commandJSON json: JSONValue) throws(ApusError) {
        guard let id = json["id"]?.string.flatMap({ ReplayID($0) }) else { throw ControlCommand.wrong("id") }
        self = id
    }
}

extension ReplayDeployment.Outcome {
    init(commandJSON json: JSONValue) throws(ApusError) {
        guard let outcome = json["outcome"]?.string.flatMap(Self.init(rawValue:)) else {
            throw ControlCommand.wrong("outcome")
        }
        self = outcome
    }
}

extension DeadLetterID {
    /// The ids of a list, as many as one command decides at most.
    static func list(commandJSON json: JSONValue) throws(ApusError) -> [DeadLetterID] {
        guard let texts = json["ids"]?.array, texts.count <= Limits.Control.fatesPerWrite else {
            throw ControlCommand.wrong("ids")
        }
        var ids: [DeadLetterID] = []
        for text in texts {
            guard let id = text.string.flatMap({ DeadLetterID($0) }) else { throw ControlCommand.wrong("ids") }
            ids.append(id)
        }
        return ids
    }
}

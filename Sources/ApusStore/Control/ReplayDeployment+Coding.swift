internal import ApusCore
internal import ApusJSON

extension ReplayDeployment {
    func write(into object: inout JSONObject) {
        object["trigger"] = .string(self.trigger)
        object["triggerGeneration"] = .number(self.generation)
        object["topic"] = .string(self.topic.onLog)
        object["from"] = self.from.map { .integer($0.microseconds) } ?? .null
        object["to"] = .integer(self.to.microseconds)
        object["starts"] = .array(self.starts.map { .integer($0) })
        object["ends"] = .array(self.ends.map { .integer($0) })
        object["perSecond"] = self.perSecond.map { .number($0) } ?? .null
        object["outputs"] = .boolean(self.writesOutputs)
        object["principal"] = .string(self.principal)
        object["created"] = .integer(self.created.microseconds)
        guard let end = self.end else { return }
        object["outcome"] = .string(end.outcome.rawValue)
        object["ended"] = .integer(end.time.microseconds)
    }

    init(_ json: JSONValue) throws(ControlRecordError) {
        let name = json["name"]?.string ?? ""
        guard let id = name.split(separator: "/").last.flatMap({ ReplayID(String($0)) }) else {
            throw .badMember("name")
        }
        guard let trigger = json["trigger"]?.string, isLabel(trigger) else { throw .badMember("trigger") }
        guard let generation = json["triggerGeneration"]?.unsigned else { throw .badMember("triggerGeneration") }
        guard let topic = json["topic"]?.string.flatMap(TopicName.init(onLog:)) else { throw .badMember("topic") }
        guard let to = json["to"]?.integer else { throw .badMember("to") }
        let (starts, ends) = (try Self.offsets(json, "starts"), try Self.offsets(json, "ends"))
        guard starts.count == ends.count else { throw .badMember("ends") }
        guard let writesOutputs = json["outputs"]?.boolean else { throw .badMember("outputs") }
        guard let principal = json["principal"]?.string else { throw .badMember("principal") }
        guard let created = json["created"]?.integer else { throw .badMember("created") }
        self.init(
            id: id, trigger: trigger, generation: generation, topic: topic,
            from: json["from"]?.integer.map(Timestamp.init(microseconds:)), to: Timestamp(microseconds: to),
            starts: starts, ends: ends, perSecond: json["perSecond"]?.int, writesOutputs: writesOutputs,
            principal: principal, created: Timestamp(microseconds: created))
        guard let outcome = json["outcome"]?.string else { return }
        guard let outcome = Outcome(rawValue: outcome) else { throw .badMember("outcome") }
        guard let ended = json["ended"]?.integer else { throw .badMember("ended") }
        self.end = End(outcome, at: Timestamp(microseconds: ended))
    }

    private static func offsets(_ json: JSONValue, _ name: String) throws(ControlRecordError) -> [Offset] {
        guard let list = json[name]?.array, list.count <= Limits.partitionsPerTopic else { throw .badMember(name) }
        var offsets: [Offset] = []
        for element in list {
            guard let offset = element.integer, offset >= 0 else { throw .badMember(name) }
            offsets.append(offset)
        }
        return offsets
    }
}

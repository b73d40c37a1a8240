public import ApusCore
internal import ApusJSON

/// Why a record of `apus.control` could not be read.
public enum ControlRecordError: Error, Sendable, Equatable {
    case noKey
    /// The key is not `kind/namespace/name`, or another than the value says.
    case badKey(String)
    case unknownKind(String)
    case unknownFormat(Int64)
    case notJSON(String)
    /// A member is missing or of another kind.
    case badMember(String)
}

extension ControlRecord {
    /// Of the value's layout. A newer one is refused, not guessed at.
    static let format: Int64 = 1

    /// The record for the log.
    public var event: Event {
        // What is known of a fate or a revision that is deleted need not be known for ever: a tombstone, and retention takes even that.
        let isForgotten = self.isDeleted && self.kind.isForgotten
        var event = Event(
            key: Array(self.key.utf8), data: isForgotten ? nil : self.json.encoded(), timestamp: self.time)
        event["type"] = "dev.apus.control.\(self.kind.rawValue.lowercased())"
        event["source"] = "apus"
        event["id"] = "\(self.key)/\(self.generation)"
        event["datacontenttype"] = "application/json"
        return event
    }

    private var json: JSONValue {
        var object: JSONObject = [
            "format": .integer(Self.format), "kind": .string(self.kind.rawValue),
            "namespace": .string(self.namespace.name),
            "name": .string(self.name), "generation": .number(self.generation),
            "time": .integer(self.time.microseconds),
        ]
        switch self.content {
        case .deleted:
            object["deleted"] = true
            if let trust = self.trustLeft { object["trust"] = trust.json }
        case .topic(let manifest), .toolServer(let manifest), .upstream(let manifest): object["manifest"] = manifest
        case .upstreamTools(let tools): object["tools"] = tools
        case .fate(let fate): object["fate"] = .string(fate.rawValue)
        case .pause(let principal), .toolDisabled(let principal): object["principal"] = .string(principal)
        case .revision(let kept):
            object["revision"] = .string(kept.revision)
            object["bundle"] = .string(kept.bundle)
            object["layer"] = kept.layer.map { .string($0) } ?? .null
            object["manifest"] = kept.json
        case .principal(let principal): principal.write(into: &object)
        case .secret(let sealed): sealed.write(into: &object)
        case .replay(let replay): replay.write(into: &object)
        case .approval(let approval): approval.write(into: &object)
        case .function(let function):
            if !function.schedules.isEmpty { object["schedules"] = .array(function.schedules.map(\.json)) }
            object["revision"] = .string(function.revision)
            object["bundle"] = .string(function.bundle)
            object["layer"] = function.layer.map { .string($0) } ?? .null
            object["triggers"] = .array(function.triggers.map(\.json))
            object["origin"] = .number(function.origin)
            if let move = function.move {
                object["moved"] = ["from": .string(move.first.name), "generation": .number(move.since)]
            }
            if let trust = function.trust { object["trust"] = trust.json }
            object["manifest"] = function.manifest
        }
        return .object(object)
    }

    /// Reads a record of `apus.control`.
    /// - Throws: `log_damaged` with a ``ControlRecordError`` as its cause.
    public init(_ event: Event) throws(ApusError) {
        do throws(ControlRecordError) {
            try self.init(parsing: event)
        } catch {
            let key = String(decoding: event.key ?? [], as: UTF8.self)
            throw ApusError(.logDamaged, "the record '\(key)' of apus.control cannot be read: \(error)", cause: error)
        }
    }

    private init(parsing event: Event) throws(ControlRecordError) {
        guard let bytes = event.key else { throw .noKey }
        let key = String(decoding: bytes, as: UTF8.self)
        let parts = key.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, let namespace = Namespace(String(parts[1])), !parts[2].isEmpty else {
            throw .badKey(key)
        }
        guard let kind = Kind(rawValue: String(parts[0])) else { throw .unknownKind(String(parts[0])) }
        let name = String(parts[2])
        guard let data = event.data else {
            // Fates are forgotten once the dead letter itself is gone, revisions once they can no longer be returned to. All else
            // has generations that only grow.
            guard kind.isForgotten else { throw .badMember("data") }
            self.init(
                kind: kind, namespace: namespace, name: name, generation: 0, time: event.timestamp, content: .deleted)
            return
        }
        let json: JSONValue
        do throws(ApusError) { json = try JSONValue.parse(data) } catch { throw .notJSON(error.message) }
        guard let format = json["format"]?.integer else { throw .badMember("format") }
        guard format == Self.format else { throw .unknownFormat(format) }
        guard json["kind"]?.string == kind.rawValue, json["namespace"]?.string == namespace.name,
            json["name"]?.string == name
        else {
            throw .badKey(key)
        }
        guard let generation = json["generation"]?.unsigned else { throw .badMember("generation") }
        guard let time = json["time"]?.integer else { throw .badMember("time") }
        self.init(
            kind: kind, namespace: namespace, name: name, generation: generation, time: Timestamp(microseconds: time),
            content: try Self.content(kind, json, generation, Timestamp(microseconds: time)))
        if self.isDeleted { self.trustLeft = try json["trust"].map { (trust) throws(ControlRecordError) in try ToolTrust(trust) } }
    }

    private static func content(_ kind: Kind, _ json: JSONValue, _ generation: UInt64, _ time: Timestamp)
        throws(ControlRecordError) -> Content
    {
        if json["deleted"]?.boolean == true { return .deleted }
        switch kind {
        case .fate:
            guard let fate = json["fate"]?.string.flatMap(DeadLetterFate.init(rawValue:)) else {
                throw .badMember("fate")
            }
            return .fate(fate)
        case .pause:
            guard let principal = json["principal"]?.string else { throw .badMember("principal") }
            return .pause(principal: principal)
        case .toolSwitch:
            guard let principal = json["principal"]?.string else { throw .badMember("principal") }
            return .toolDisabled(principal: principal)
        case .revision:
            guard let manifest = json["manifest"] else { throw .badMember("manifest") }
            guard let revision = json["revision"]?.string else { throw .badMember("revision") }
            guard let bundle = json["bundle"]?.string else { throw .badMember("bundle") }
            return .revision(
                KeptRevision(
                    revision: revision, generation: generation, bundle: bundle, layer: json["layer"]?.string,
                    manifest: String(decoding: manifest.encoded(), as: UTF8.self), deployed: time))
        case .principal: return .principal(try PrincipalDeployment(json))
        case .secret:
            guard SecretName(Namespace.default, json["name"]?.string ?? "") != nil else { throw .badMember("name") }
            return .secret(try SealedSecret(json))
        case .replay: return .replay(try ReplayDeployment(json))
        case .approval: return .approval(try Approval(json))
        case .topic:
            guard let manifest = json["manifest"] else { throw .badMember("manifest") }
            return .topic(manifest: manifest)
        case .toolServer:
            guard let manifest = json["manifest"] else { throw .badMember("manifest") }
            return .toolServer(manifest: manifest)
        case .upstream:
            guard let manifest = json["manifest"] else { throw .badMember("manifest") }
            return .upstream(manifest: manifest)
        case .upstreamTools:
            guard let tools = json["tools"] else { throw .badMember("tools") }
            return .upstreamTools(tools)
        case .function:
            guard let manifest = json["manifest"] else { throw .badMember("manifest") }
            guard let revision = json["revision"]?.string else { throw .badMember("revision") }
            guard let bundle = json["bundle"]?.string else { throw .badMember("bundle") }
            guard let list = json["triggers"]?.array else { throw .badMember("triggers") }
            var triggers: [TriggerDeployment] = []
            for trigger in list { triggers.append(try TriggerDeployment(trigger)) }
            var schedules: [ScheduleDeployment] = []
            for schedule in json["schedules"]?.array ?? [] { schedules.append(try ScheduleDeployment(schedule)) }
            var move: ClassMove?
            if let moved = json["moved"] {
                guard let first = moved["from"]?.string.flatMap({ WorkClass($0) }),
                    let since = moved["generation"]?.unsigned
                else { throw .badMember("moved") }
                move = ClassMove(first: first, since: since)
            }
            return .function(
                FunctionDeployment(
                    manifest: manifest, revision: revision, bundle: bundle, layer: json["layer"]?.string,
                    triggers: triggers, schedules: schedules, origin: json["origin"]?.unsigned ?? 0, move: move,
                    trust: try json["trust"].map { (trust) throws(ControlRecordError) in try ToolTrust(trust) }
                )
            )
        }
    }
}

extension ControlRecord.Kind {
    /// Whether what is deleted leaves nothing, its generation neither.
    var isForgotten: Bool { [.fate, .revision, .replay, .approval].contains(self) }
}

extension TriggerDeployment {
    var json: JSONValue {
        [
            "name": .string(self.name), "topic": .string(self.topic.onLog), "table": .boolean(self.isTable),
            "generation": .number(self.generation), "starts": .array(self.starts.map { .integer($0) }),
        ]
    }

    init(_ json: JSONValue) throws(ControlRecordError) {
        guard let name = json["name"]?.string else { throw .badMember("triggers.name") }
        guard let topic = json["topic"]?.string.flatMap(TopicName.init(onLog:)) else {
            throw .badMember("triggers.topic")
        }
        guard let isTable = json["table"]?.boolean else { throw .badMember("triggers.table") }
        guard let generation = json["generation"]?.unsigned else { throw .badMember("triggers.generation") }
        guard let starts = json["starts"]?.array else { throw .badMember("triggers.starts") }
        var offsets: [Offset] = []
        for start in starts {
            guard let offset = start.integer, offset >= 0 else { throw .badMember("triggers.starts") }
            offsets.append(offset)
        }
        self.init(name: name, topic: topic, isTable: isTable, generation: generation, starts: offsets)
    }
}

extension ScheduleDeployment {
    var json: JSONValue {
        [
            "name": .string(self.name), "generation": .number(self.generation),
            "since": .integer(self.since.microseconds),
        ]
    }

    init(_ json: JSONValue) throws(ControlRecordError) {
        guard let name = json["name"]?.string else { throw .badMember("schedules.name") }
        guard let generation = json["generation"]?.unsigned else { throw .badMember("schedules.generation") }
        guard let since = json["since"]?.integer else { throw .badMember("schedules.since") }
        self.init(name: name, generation: generation, since: Timestamp(microseconds: since))
    }
}

internal import ApusCore
internal import ApusJSON
internal import ApusManifest

extension ApprovalRequest {
    /// The members of its record and of the command that asks for it.
    func write(into object: inout JSONObject) {
        object["principal"] = .string(self.principal)
        object["function"] = .string(self.function.name)
        object["tool"] = .string(self.tool)
        object["revision"] = .string(self.revision)
        object["version"] = .number(self.version)
        object["sha256"] = .string(self.digest)
        object["by"] = .string(self.by.rawValue)
        object["binding"] = .string(self.binding)
        object["argumentsSHA256"] = .string(self.argumentsDigest)
        object["arguments"] = .string(self.arguments)
    }

    init(_ json: JSONValue) throws(ControlRecordError) {
        func text(_ member: String) throws(ControlRecordError) -> String {
            guard let text = json[member]?.string else { throw .badMember(member) }
            return text
        }
        guard let namespace = json["namespace"]?.string.flatMap({ Namespace($0) }),
            let function = ResourceName(namespace, try text("function"))
        else { throw .badMember("function") }
        guard let by = ToolManifest.Approval.Approver(rawValue: try text("by")) else { throw .badMember("by") }
        guard let version = json["version"]?.int else { throw .badMember("version") }
        self.init(
            principal: try text("principal"), function: function, tool: try text("tool"),
            revision: try text("revision"), version: version, digest: try text("sha256"), by: by,
            binding: try text("binding"), argumentsDigest: try text("argumentsSHA256"),
            arguments: try text("arguments"))
    }
}

extension Approval {
    func write(into object: inout JSONObject) {
        self.request.write(into: &object)
        object["created"] = .integer(self.created.microseconds)
        object["expires"] = .integer(self.expires.microseconds)
        let (name, ended): (StateName, Timestamp?) =
            switch self.state {
            case .waiting: (.waiting, nil)
            case .accepted: (.accepted, nil)
            case .declined: (.declined, nil)
            case .consumed(_, let time): (.consumed, time)
            case .expired(_, let time): (.expired, time)
            }
        object["state"] = .string(name.rawValue)
        object["ended"] = ended.map { .integer($0.microseconds) }
        guard let decision = self.decision else { return }
        object["decidedBy"] = .string(decision.principal)
        object["decided"] = .integer(decision.time.microseconds)
        object["reason"] = decision.reason.map { .string($0) }
    }

    init(_ json: JSONValue) throws(ControlRecordError) {
        func time(_ member: String) throws(ControlRecordError) -> Timestamp {
            guard let time = json[member]?.integer else { throw .badMember(member) }
            return Timestamp(microseconds: time)
        }
        guard let id = json["name"]?.string.flatMap({ ApprovalID($0) }) else { throw .badMember("name") }
        var decision: Decision?
        if let principal = json["decidedBy"]?.string {
            decision = Decision(principal: principal, time: try time("decided"), reason: json["reason"]?.string)
        }
        let state: State
        switch (json["state"]?.string.flatMap(StateName.init), decision) {
        case (.waiting, nil): state = .waiting
        case (.accepted, let decision?): state = .accepted(decision)
        case (.declined, let decision?): state = .declined(decision)
        case (.consumed, let decision?): state = .consumed(decision, at: try time("ended"))
        case (.expired, let decision): state = .expired(decision, at: try time("ended"))
        default: throw .badMember("state")
        }
        self.init(
            id: id, request: try ApprovalRequest(json), created: try time("created"), expires: try time("expires"),
            state: state)
    }
}

public import ApusCore
internal import ApusCrypto
public import ApusJSON
internal import ApusManifest

/// A control command as the payload of a ``Command``.
extension ControlCommand {
    static let format: Int64 = 1

    public var json: JSONValue {
        var object: JSONObject = ["format": .integer(Self.format)]
        switch self {
        case .deploy(let documents, let ifMatch, let isDryRun, let creator):
            object["do"] = "deploy"
            object["documents"] = .array(documents.map(\.json))
            object["ifMatch"] = ifMatch.map { .number($0) } ?? .null
            object["dryRun"] = .boolean(isDryRun)
            object["by"] = .string(creator)
        case .deleteFunction(let name, let ifMatch):
            object["do"] = "deleteFunction"
            object.set(name)
            object["ifMatch"] = ifMatch.map { .number($0) } ?? .null
        case .deleteTopic(let namespace, let name, let ifMatch):
            object["do"] = "deleteTopic"
            object["namespace"] = .string(namespace.name)
            object["name"] = .string(name)
            object["ifMatch"] = ifMatch.map { .number($0) } ?? .null
        case .deleteToolServer(let name, let ifMatch):
            object["do"] = "deleteToolServer"
            object.set(name)
            object["ifMatch"] = ifMatch.map { .number($0) } ?? .null
        case .deleteUpstream(let name, let ifMatch):
            object["do"] = "deleteUpstream"
            object.set(name)
            object["ifMatch"] = ifMatch.map { .number($0) } ?? .null
        case .takeUpstreamList(let name, let list, let kinds):
            object["do"] = "takeUpstreamList"
            object.set(name)
            for kind in UpstreamDefinition.Kind.allCases where kinds.contains(kind) {
                let texts = list.filter { $0.kind == kind }.map { String(decoding: $0.canonical, as: UTF8.self) }
                object[kind.rawValue] = .array(texts.map { .string($0) })
            }
        case .switchUpstreamTool(let name, let tool, let change):
            object["do"] = "switchUpstreamTool"
            object.set(name)
            object["tool"] = .string(tool)
            switch change {
            case .accept(let digest): object["accept"] = .string(digest)
            case .disable: object["disabled"] = true
            case .enable: object["disabled"] = false
            }
        case .switchTool(let namespace, let tool, let isDisabled, let principal):
            object["do"] = "switchTool"
            object["namespace"] = .string(namespace.name)
            object["name"] = .string(tool)
            object["disabled"] = .boolean(isDisabled)
            object["principal"] = .string(principal)
        case .acceptSignedTool(let name, let digest):
            object["do"] = "acceptSignedTool"
            object.set(name)
            object["digest"] = .string(digest)
        case .decideFate(let id, let namespace, let fate):
            object["do"] = "decideFate"
            object["namespace"] = .string(namespace.name)
            object["id"] = .string(id.description)
            object["fate"] = .string(fate.rawValue)
        case .forgetFates(let fates):
            object["do"] = "forgetFates"
            object["fates"] = .array(
                fates.map { ["namespace": .string($0.namespace.name), "id": .string($0.id.description)] })
        case .rollback(let name, let revision, let ifMatch):
            object["do"] = "rollback"
            object.set(name)
            object["revision"] = revision.map { .string($0) } ?? .null
            object["ifMatch"] = ifMatch.map { .number($0) } ?? .null
        case .pause(let target, let principal):
            object["do"] = "pause"
            object.set(target)
            object["principal"] = .string(principal)
        case .resume(let target):
            object["do"] = "resume"
            object.set(target)
        case .createPrincipal(let name, let principal):
            object["do"] = "createPrincipal"
            object.set(name)
            var value = JSONObject()
            principal.write(into: &value)
            object["principal"] = .object(value)
        case .revokePrincipal(let name, let ifMatch):
            object["do"] = "revokePrincipal"
            object.set(name)
            object["ifMatch"] = ifMatch.map { .number($0) } ?? .null
        case .rotatePrincipal(let name, let id, let hash):
            object["do"] = "rotatePrincipal"
            object.set(name)
            object["id"] = .string(id)
            object["hash"] = .string(hash.hex)
        case .setSecret(let name, let sealed, let generation):
            object["do"] = "setSecret"
            object.set(name)
            object["generation"] = .number(generation)
            var value = JSONObject()
            sealed.write(into: &value)
            object["secret"] = .object(value)
        case .deleteSecret(let name):
            object["do"] = "deleteSecret"
            object.set(name)
        case .createReplay(let name, let order):
            object["do"] = "createReplay"
            object.set(name)
            object["replay"] = order.commandJSON
        case .endReplay(let name, let id, let outcome):
            object["do"] = "endReplay"
            object.set(name)
            object["id"] = .string(id.description)
            object["outcome"] = .string(outcome.rawValue)
        case .decideFates(let ids, let namespace, let fate):
            object["do"] = "decideFates"
            object["namespace"] = .string(namespace.name)
            object["ids"] = .array(ids.map { .string($0.description) })
            object["fate"] = .string(fate.rawValue)
        case .resealSecrets(let reseals):
            object["do"] = "resealSecrets"
            object["secrets"] = .array(reseals.map(\.json))
        case .claimApproval(let id, let request):
            object["do"] = "claimApproval"
            object["namespace"] = .string(request.function.namespace.name)
            object["id"] = .string(id.description)
            request.write(into: &object)
        case .decideApproval(let id, let namespace, let verdict):
            object["do"] = "decideApproval"
            object["namespace"] = .string(namespace.name)
            object["id"] = .string(id.description)
            verdict.write(into: &object)
        case .sweepApprovals: object["do"] = "sweepApprovals"
        }
        return .object(object)
    }

    /// Reads what another node asked for.
    /// - Throws: `invalid_argument` when it is none that this version knows.
    public init(json: JSONValue) throws(ApusError) {
        guard json["format"]?.integer == Self.format else { throw Self.wrong("format") }
        switch json["do"]?.string {
        case "deploy":
            guard let list = json["documents"]?.array, let isDryRun = json["dryRun"]?.boolean,
                list.count <= Limits.Control.documentsPerDeploy
            else { throw Self.wrong("documents") }
            var documents: [DeployDocument] = []
            for document in list { documents.append(try DeployDocument(json: document)) }
            self = .deploy(
                documents, ifMatch: json["ifMatch"]?.unsigned, isDryRun: isDryRun, by: json["by"]?.string ?? "server")
        case "deleteFunction":
            self = .deleteFunction(try json.resource(), ifMatch: json["ifMatch"]?.unsigned)
        case "deleteTopic":
            guard let name = json["name"]?.string else { throw Self.wrong("name") }
            self = .deleteTopic(try json.namespace(), name, ifMatch: json["ifMatch"]?.unsigned)
        case "deleteToolServer":
            self = .deleteToolServer(try json.resource(), ifMatch: json["ifMatch"]?.unsigned)
        case "deleteUpstream":
            self = .deleteUpstream(try json.resource(), ifMatch: json["ifMatch"]?.unsigned)
        case "takeUpstreamList":
            var list: [UpstreamDefinition] = []
            var kinds: Set<UpstreamDefinition.Kind> = []
            for kind in UpstreamDefinition.Kind.allCases {
                guard let texts = json[kind.rawValue]?.array else { continue }
                kinds.insert(kind)
                for element in texts {
                    guard let text = element.string, list.count < Limits.Control.upstreamTools,
                        let definition = UpstreamDefinition(try JSONValue.parse(text), kind: kind)
                    else { throw Self.wrong(kind.rawValue) }
                    list.append(definition)
                }
            }
            self = .takeUpstreamList(try json.resource(), list, of: kinds)
        case "switchUpstreamTool":
            guard let tool = json["tool"]?.string else { throw Self.wrong("tool") }
            if let digest = json["accept"]?.string {
                self = .switchUpstreamTool(try json.resource(), tool: tool, .accept(digest: digest))
            } else {
                guard let isDisabled = json["disabled"]?.boolean else { throw Self.wrong("disabled") }
                self = .switchUpstreamTool(try json.resource(), tool: tool, isDisabled ? .disable : .enable)
            }
        case "switchTool":
            guard let tool = json["name"]?.string, let isDisabled = json["disabled"]?.boolean,
                let principal = json["principal"]?.string
            else { throw Self.wrong("disabled") }
            self = .switchTool(try json.namespace(), tool, isDisabled: isDisabled, by: principal)
        case "acceptSignedTool":
            guard let digest = json["digest"]?.string else { throw Self.wrong("digest") }
            self = .acceptSignedTool(try json.resource(), digest: digest)
        case "decideFate":
            guard let fate = json["fate"]?.string.flatMap(ControlRecord.DeadLetterFate.init(rawValue:)) else {
                throw Self.wrong("fate")
            }
            self = .decideFate(try json.deadLetter(), try json.namespace(), fate)
        case "forgetFates":
            var fates: [ForgottenFate] = []
            for fate in json["fates"]?.array ?? [] {
                fates.append(ForgottenFate(id: try fate.deadLetter(), namespace: try fate.namespace()))
            }
            self = .forgetFates(fates)
        case "rollback":
            self = .rollback(
                try json.resource(), revision: json["revision"]?.string, ifMatch: json["ifMatch"]?.unsigned)
        case "pause":
            guard let principal = json["principal"]?.string else { throw Self.wrong("principal") }
            self = .pause(try json.pauseTarget(), principal: principal)
        case "resume": self = .resume(try json.pauseTarget())
        case "createPrincipal":
            self = .createPrincipal(
                try json.resource(),
                try Self.member("principal", json) { (json) throws(ControlRecordError) in
                    try PrincipalDeployment(json)
                })
        case "revokePrincipal":
            self = .revokePrincipal(try json.resource(), ifMatch: json["ifMatch"]?.unsigned)
        case "rotatePrincipal":
            guard let id = json["id"]?.string, let hash = json["hash"]?.string.flatMap(TokenHash.init(hex:)) else {
                throw Self.wrong("hash")
            }
            self = .rotatePrincipal(try json.resource(), id: id, hash: hash)
        case "setSecret":
            guard let generation = json["generation"]?.unsigned else { throw Self.wrong("generation") }
            self = .setSecret(
                try json.secretName(),
                try Self.member("secret", json) { (json) throws(ControlRecordError) in try SealedSecret(json) },
                ifGeneration: generation)
        case "deleteSecret": self = .deleteSecret(try json.secretName())
        case "createReplay":
            guard let order = json["replay"] else { throw Self.wrong("replay") }
            self = .createReplay(try json.resource(), try ReplayOrder(commandJSON: order))
        case "endReplay":
            self = .endReplay(
                try json.resource(), try ReplayID(commandJSON: json), try ReplayDeployment.Outcome(commandJSON: json))
        case "decideFates":
            guard let fate = json["fate"]?.string.flatMap(ControlRecord.DeadLetterFate.init(rawValue:)) else {
                throw Self.wrong("fate")
            }
            self = .decideFates(try DeadLetterID.list(commandJSON: json), try json.namespace(), fate)
        case "resealSecrets":
            var reseals: [SecretReseal] = []
            for reseal in json["secrets"]?.array ?? [] { reseals.append(try SecretReseal(json: reseal)) }
            self = .resealSecrets(reseals)
        case "claimApproval":
            self = .claimApproval(try ApprovalID(commandJSON: json), try ApprovalRequest(commandJSON: json))
        case "decideApproval":
            self = .decideApproval(
                try ApprovalID(commandJSON: json), try json.namespace(), try ApprovalVerdict(commandJSON: json))
        case "sweepApprovals": self = .sweepApprovals
        default: throw Self.wrong("do")
        }
    }

    static func wrong(_ member: String) -> ApusError {
        ApusError(
            .invalidArgument,
            "the command cannot be read (`\(member)`): the nodes of this cluster run versions too far apart: upgrade all of them"
        )
    }

    private static func member<Value>(
        _ name: String, _ json: JSONValue, _ read: (JSONValue) throws(ControlRecordError) -> Value
    ) throws(ApusError) -> Value {
        guard let value = json[name] else { throw Self.wrong(name) }
        do throws(ControlRecordError) { return try read(value) } catch { throw Self.wrong(name) }
    }
}

extension JSONObject {
    fileprivate mutating func set(_ name: ResourceName) {
        self["namespace"] = .string(name.namespace.name)
        self["name"] = .string(name.name)
    }

    fileprivate mutating func set(_ name: SecretName) {
        self["namespace"] = .string(name.namespace.name)
        self["name"] = .string(name.name)
    }

    fileprivate mutating func set(_ target: PauseTarget) {
        self["namespace"] = .string(target.function.namespace.name)
        self["name"] = .string(target.recordName)
    }
}

extension JSONValue {
    fileprivate func namespace() throws(ApusError) -> Namespace {
        guard let namespace = self["namespace"]?.string.flatMap({ Namespace($0) }) else {
            throw ControlCommand.wrong("namespace")
        }
        return namespace
    }

    fileprivate func resource() throws(ApusError) -> ResourceName {
        guard let name = ResourceName(try self.namespace(), self["name"]?.string ?? "") else {
            throw ControlCommand.wrong("name")
        }
        return name
    }

    fileprivate func secretName() throws(ApusError) -> SecretName {
        guard let name = SecretName(try self.namespace(), self["name"]?.string ?? "") else {
            throw ControlCommand.wrong("name")
        }
        return name
    }

    fileprivate func pauseTarget() throws(ApusError) -> PauseTarget {
        guard let target = PauseTarget(try self.namespace(), recordName: self["name"]?.string ?? "") else {
            throw ControlCommand.wrong("name")
        }
        return target
    }

    fileprivate func deadLetter() throws(ApusError) -> DeadLetterID {
        guard let id = self["id"]?.string.flatMap({ DeadLetterID($0) }) else { throw ControlCommand.wrong("id") }
        return id
    }
}

extension DeployDocument {
    fileprivate var json: JSONValue {
        [
            "namespace": .string(self.manifest.namespace.name), "manifest": self.manifest.toJSON(),
            "bundle": self.bundle.map { .string($0) } ?? .null, "layer": self.layer.map { .string($0) } ?? .null,
        ]
    }

    fileprivate init(json: JSONValue) throws(ApusError) {
        guard let manifest = json["manifest"] else { throw ControlCommand.wrong("manifest") }
        let namespace = try json.namespace()
        do throws(ManifestErrors) {
            self.init(
                manifest: try Manifest(json: manifest, namespace: namespace), bundle: json["bundle"]?.string,
                layer: json["layer"]?.string)
        } catch { throw error.asApusError }
    }
}

extension SecretReseal {
    fileprivate var json: JSONValue {
        [
            "namespace": .string(self.name.namespace.name), "name": .string(self.name.name),
            "generation": .number(self.generation), "key": .string(self.key),
            "sealed": .string(Hex.encode(self.sealed)),
        ]
    }

    fileprivate init(json: JSONValue) throws(ApusError) {
        guard let generation = json["generation"]?.unsigned, let key = json["key"]?.string,
            let sealed = json["sealed"]?.string.flatMap({ Hex.decode($0) })
        else { throw ControlCommand.wrong("secrets") }
        self.init(name: try json.secretName(), generation: generation, key: key, sealed: sealed)
    }
}

/// What became of the documents of a control command, as its answer says it.
extension ControlDecision.Outcome {
    var answerJSON: JSONValue {
        [
            "kind": .string(self.kind.rawValue), "namespace": .string(self.namespace.name), "name": .string(self.name),
            "action": .string(self.action.rawValue), "generation": .number(self.generation),
            "revision": self.revision.map { .string($0) } ?? .null,
        ]
    }

    init(answerJSON json: JSONValue) throws(ApusError) {
        guard let kind = json["kind"]?.string.flatMap(ControlRecord.Kind.init(rawValue:)),
            let name = json["name"]?.string, let action = json["action"]?.string.flatMap(Action.init(rawValue:)),
            let generation = json["generation"]?.unsigned
        else { throw ControlCommand.wrong("answer") }
        self.init(
            kind: kind, namespace: try json.namespace(), name: name, action: action, generation: generation,
            revision: json["revision"]?.string)
    }

    /// The payload of an answer.
    public static func encode(_ outcomes: [ControlDecision.Outcome]) -> [UInt8] {
        JSONValue.array(outcomes.map(\.answerJSON)).encoded()
    }

    public static func decode(_ payload: [UInt8]) throws(ApusError) -> [ControlDecision.Outcome] {
        var outcomes: [ControlDecision.Outcome] = []
        for json in try JSONValue.parse(payload).array ?? [] { outcomes.append(try Self(answerJSON: json)) }
        return outcomes
    }
}

internal import ApusCore
internal import ApusJSON
internal import ApusManifest
internal import ApusStore

extension Schema {
    /// The forms that several operations share, by name.
    static let components: [(name: String, schema: JSONValue)] = [
        ("Problem", problem), ("Manifest", manifest), ("Outcome", outcome), ("Function", function),
        ("FunctionDetails", functionDetails), ("Position", position), ("Instance", instance), ("Revision", revision),
        ("LogLine", logLine), ("Topic", topic), ("ToolServer", toolServer), ("Upstream", upstream), ("UpstreamTool", upstreamTool),
        ("OwnTool", ownTool), ("Tool", tool), ("CloudEvent", cloudEvent),
        ("Receipt", receipt),
        ("Invocation", invocation), ("DeadLetter", deadLetter), ("DeadLetterDetails", deadLetterDetails),
        ("Token", token), ("Secret", secret),
        ("NewToken", newToken), ("Agent", agent), ("NewAgent", newAgent), ("Principal", principal),
        ("Readiness", readiness),
        ("Subscription", subscription), ("Replay", replay), ("Filter", filter),
        ("Schedule", schedule), ("Delivery", delivery), ("Timing", timing), ("Stats", stats),
        ("Approval", approval),
    ]

    private static let problem = object(
        [
            "type": said(text, "`urn:apus:error:CODE`"), "title": text, "status": integer(400...599),
            "code": said(oneOf(ErrorCode.allCases.map(\.rawValue)), "Stable: each has a page in docs/errors"),
            "detail": said(text, "What happened, where, and what to try"),
        ],
        optional: ["errors": said(list(text), "More lines on the same problem")])

    private static let manifest: JSONValue = {
        var schema = ManifestSchema.json
        schema["$schema"] = nil
        schema["$id"] = nil
        // What a schema defines for itself is a component of the document here.
        schema["$defs"] = nil
        return said(Self.pointingHere(schema), "A manifest, as `apus schema` describes it")
    }()

    private static let filter = Self.pointingHere(ManifestSchema.json["$defs"]?["filter"] ?? .null)

    /// With the definitions of manifests referred to where they are in this document.
    private static func pointingHere(_ json: JSONValue) -> JSONValue {
        switch json {
        case .string("#/$defs/filter"): "#/components/schemas/Filter"
        case .array(let elements): .array(elements.map { Self.pointingHere($0) })
        case .object(let object):
            .object(object.reduce(into: JSONObject()) { $0[$1.name] = Self.pointingHere($1.value) })
        default: json
        }
    }

    private static let outcome = object(
        [
            "kind": oneOf(ControlRecord.Kind.allCases.map(\.rawValue) + [Manifest.Kind.agent.rawValue]), "namespace": label, "name": text,
            "action": oneOf(ControlDecision.Outcome.Action.allCases.map(\.rawValue)),
            "generation": said(count, "Grows with each change of what has this name"),
        ],
        optional: ["revision": said(hash, "Of a function")])

    private static let functionMembers: JSONObject = [
        "name": label, "namespace": label, "generation": count,
        "revision": said(hash, "The hash of manifest, bundle and layer"), "bundle": hash,
        "layer": said(orNull(text), "The key of its dependencies"),
        "manifest": said(orNull(["type": "object"]), "As it was deployed"),
        "created": time, "updated": time,
    ]
    private static let function = object(functionMembers)
    private static let functionDetails: JSONValue = {
        var members = functionMembers
        members["triggers"] = said(orNull(list(["type": "object"])), "The triggers on topics, and where they start")
        members["positions"] = list(named("Position"))
        members["instances"] = list(named("Instance"))
        return object(
            members,
            optional: [
                "lastStart": said(Self.start, "How its last instance came to be there"),
                "weights": said(list(Self.weights), "The files that lie at `/weights` for its workers"),
            ])
    }()

    private static let weights = object(
        [
            "name": label, "sha256": hash, "path": said(text, "Where workers see it"),
            "tier": said(text, "`disk` when it is on this server whole, else `remote`"),
            "fetched": said(count, "Bytes of it that are on this server"),
            "bytes": said(orNull(count), "All of it, where that is known"),
        ], optional: ["error": said(text, "Why it could not be fetched when it was last tried")])

    private static let start = object([
        "at": time, "from": said(text, "`disk` is a cold start, `host` a wake"), "cause": text,
        "why": said(text, "A sentence"), "seconds": said(orNull(["type": "number"]), "Null while it is under way"),
    ])

    private static let position = object([
        "group": said(text, "As tools of the log see it"), "topic": text, "partition": count,
        "watermark": said(count, "All before it is settled"), "end": count,
        "lag": said(count, "Events from the watermark to the end"), "retrying": count,
    ])

    private static let instance = object([
        "worker": said(count, "0 before there is one: its weights come first"), "namespace": label, "function": label, "revision": text, "state": text, "since": time,
        "inFlight": count, "runtime": text,
        "isolation": oneOf(WorkerIsolation.Level.allCases.map(\.name)),
        "isolationMode": oneOf(WorkerIsolation.Mode.allCases.map(\.rawValue)),
        "calls": said(oneOf(WorkerIsolation.Calls.allCases.map(\.rawValue)), "What each invocation has to itself"),
        "missingLayers": said(list(text), "Isolation this host cannot enforce"),
    ], optional: [
        "weights": said(
            object(["fetched": count, "bytes": orNull(count)]), "Of one that starts once they are on this server: how much of them is"),
    ])

    private static let revision = object(["revision": hash, "generation": count, "deployed": time])

    private static let logLine = object([
        "sequence": said(count, "Grows along the list: what `after` takes"), "time": time, "level": text,
        "text": text, "revision": text, "worker": count, "invocation": text,
    ])

    private static let tool = object([
        "name": text, "function": label, "version": count, "title": orNull(text), "description": orNull(text),
        "scopes": list(text), "approval": text,
        "definition": said(orNull(["type": "object"]), "As agents are shown it"),
    ])

    private static let toolServer = object([
        "name": label, "namespace": label, "generation": count,
        "path": said(text, "Where agents find it on this server"),
        "manifest": said(["type": "object"], "As it was deployed"), "updated": time,
    ])

    private static let upstreamTool = object([
        "name": said(text, "As agents know it; of others than tools with their kind, as prompt:NAME"),
        "kind": oneOf(UpstreamDefinition.Kind.allCases.map(\.rawValue)), "tool": said(text, "As its server calls it"),
        "upstream": label,
        "state": oneOf(["offered", "quarantined", "refused", "disabled", "gone"]), "reason": orNull(text),
        "accepted": orNull(["type": "object"]), "acceptedSHA256": orNull(text), "waiting": orNull(["type": "object"]),
        "waitingSHA256": orNull(text),
    ])

    private static let ownTool = object(
        [
            "name": said(text, "As agents know it"), "function": label, "version": count,
            "state": oneOf(["offered", "disabled"]), "sha256": hash,
        ], optional: ["by": said(text, "Who hid it"), "since": time])

    private static let upstream = object(
        [
            "name": label, "namespace": label, "generation": count, "function": label, "prefix": text,
            "available": said(boolean, "Whether it answered when it was asked last"), "problem": orNull(text),
            "asked": orNull(time), "counts": said(["type": "object"], "Tools by state"),
            "manifest": said(["type": "object"], "As it was deployed"), "updated": time,
        ], optional: ["tools": list(named("UpstreamTool"))])

    private static let topic = object([
        "name": text, "namespace": label, "generation": count, "compact": boolean,
        "partitions": list(object(["partition": count, "start": count, "end": count])),
        "manifest": orNull(["type": "object"]), "created": time, "updated": time,
    ])

    private static let cloudEvent = object(
        [
            "specversion": oneOf(["1.0"]), "id": said(text("1"), "Not empty"), "source": text("/shop"),
            "type": text("com.example.order"),
        ],
        optional: [
            "time": time, "subject": text, "partitionkey": said(text, "The event's key: one key, one order"),
            "datacontenttype": text, "data": anything, "data_base64": said(text, "Data that is no JSON"),
        ])

    private static let receipt = object([
        "events": said(list(object(["partition": count, "offset": count])), "Where each event lies, in their order")
    ])

    private static let invocation = object(
        [
            "id": text, "namespace": label, "function": label,
            "state": oneOf(InvocationState.allCases.map(\.rawValue)), "principal": said(text, "Who asked"),
            "attempts": count, "queued": time,
        ],
        optional: [
            "started": said(time, "When its first attempt began"), "finished": time, "revision": text,
            "code": said(text, "Why it failed"), "message": text, "detail": text,
            "progress": object(["done": count, "total": orNull(count), "message": text]),
            "timing": said(orNull(named("Timing")), "Where the time of its last attempt went"),
            "result": said(object(["contentType": orNull(text), "bytes": orNull(count)]), "Of one that succeeded"),
        ])

    private static let deadLetterMembers: JSONObject = [
        "id": text, "state": oneOf(DeadLetterRow.State.allCases.map(\.rawValue)), "namespace": label,
        "function": label, "trigger": text, "topic": text, "partition": count, "offset": count, "attempts": count,
        "code": said(text, "How the last attempt ended"), "message": text, "detail": text, "time": time,
        "revision": text, "eventId": text, "eventType": text, "sequence": said(count, "What `after` takes"),
    ]
    private static let deadLetter = object(
        deadLetterMembers, optional: ["decided": said(time, "When it was redriven or dropped")])
    private static let deadLetterDetails: JSONValue = {
        var members = deadLetterMembers
        members["event"] = said(["type": "object"], "The event, whole")
        return object(members, optional: ["decided": time])
    }()

    private static let role = text(
        "reader@search", pattern: "^(\(Role.allCases.map(\.rawValue).joined(separator: "|")))@(\\*|[a-z0-9-]+)$")
    private static let tokenMembers: JSONObject = [
        "name": label, "namespace": label, "id": said(text, "The visible part of the token"), "roles": list(role),
        "state": oneOf(["active", "expired", "revoked"]), "created": time, "creator": text,
    ]
    private static let tokenEnds: JSONObject = ["expires": time, "revoked": time]
    private static let token = object(tokenMembers, optional: tokenEnds)
    private static let newToken: JSONValue = {
        var members = tokenMembers
        members["token"] = said(text, "Shown this once and kept nowhere")
        return object(members, optional: tokenEnds)
    }()
    private static let agentMembers: JSONObject = [
        "servers": said(list(label), "Tool servers it reaches; none for all of its namespace"),
        "scopes": said(list(text), "Scopes of tools that it holds"),
        "limits": said(
            object([:], optional: ["callsPerMinute": count, "concurrent": count, "callsPerDay": count, "budgetPerDay": ["type": "number"]]),
            "How much it may ask for"),
    ]
    private static let agent: JSONValue = {
        var (members, others) = (tokenMembers, tokenEnds)
        for name in agentMembers.names { members[name] = agentMembers[name] }
        // One that was deployed has no token until it is given one.
        others["id"] = members["id"]
        members["id"] = nil
        members["state"] = oneOf(PrincipalDeployment.State.allCases.map(\.rawValue))
        members["manifest"] = said(["type": "object"], "The manifest that says the same")
        others["generation"] = count
        others["warnings"] = said(list(text), "What does not hold as it says, as a budget where nothing has a price")
        return object(members, optional: others)
    }()
    /// Of an agent that was there before, its name and token alone.
    private static let newAgent: JSONValue = {
        var others = tokenMembers
        others["manifest"] = ["type": "object"]
        for name in agentMembers.names { others[name] = agentMembers[name] }
        for name in tokenEnds.names { others[name] = tokenEnds[name] }
        var members: JSONObject = ["token": said(text, "Shown this once and kept nowhere")]
        for name in ["name", "namespace", "id"] {
            members[name] = others[name]
            others[name] = nil
        }
        return object(members, optional: others)
    }()
    private static let principal = object(["name": text, "roles": list(role)], optional: ["expires": time])

    private static let secret = object([
        "name": text, "namespace": label,
        "version": said(count, "Grows with each value that is set, not always by one"),
        "set": said(time, "When this value was set"), "setBy": said(text, "By which principal"),
        "key": said(text, "Of the master key that opens it"),
        "isReadable": said(boolean, "Whether this server has that key"),
        "functions": said(list(text), "The functions that are given it"),
    ])

    private static let readiness = object([
        "ready": boolean, "problems": said(list(text), "Why it is not ready"),
        "warnings": said(list(text), "What works and should not stay so"), "functions": count,
        "isolationMode": oneOf(WorkerIsolation.Mode.allCases.map(\.rawValue)),
        "missingLayers": said(list(object(["name": text, "detail": text])), "Isolation this host cannot enforce"),
    ])
}

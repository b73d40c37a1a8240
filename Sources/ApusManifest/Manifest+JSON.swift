internal import ApusCore
public import ApusJSON

extension Manifest {
    /// The manifest as JSON, in one form: equal manifests give equal bytes. ``init(json:namespace:)`` reads it.
    ///
    /// It has the fields of the YAML form, all defaults filled in, names of mappings sorted, amounts in their largest
    /// whole unit.
    public func toJSON() -> JSONValue {
        switch self {
        case .function(let function): function.json
        case .topic(let topic): topic.json
        case .toolServer(let server): server.json
        case .upstream(let upstream): upstream.json
        case .agent(let agent): agent.json
        }
    }

    static func document(_ identity: Identity, _ labels: [String: String], _ spec: JSONValue) -> JSONValue {
        var metadata: JSONValue = ["name": .string(identity.name), "namespace": .string(identity.namespace.name)]
        if !labels.isEmpty { metadata["labels"] = .sorted(labels) }
        return [
            "apiVersion": .string(DocumentKind.apiVersion), "kind": .string(identity.kind.rawValue),
            "metadata": metadata, "spec": spec,
        ]
    }
}

extension FunctionManifest {
    fileprivate var json: JSONValue {
        var spec: JSONValue = [:]
        if let about = self.about { spec["description"] = .string(about) }
        spec["runtime"] = .string(self.runtime.rawValue)
        spec["handler"] = .string(self.handler)
        spec["source"] = .string(self.source)
        if let build = self.build { spec["build"] = .string(build) }
        if let dependencies = self.dependencies {
            spec["dependencies"] = [
                "file": .string(dependencies.file), "resolve": .boolean(dependencies.resolves),
                "allowBuild": .boolean(dependencies.allowsBuild),
            ]
        }
        if !self.environment.isEmpty { spec["env"] = .sorted(self.environment) }
        if !self.secrets.isEmpty { spec["secrets"] = .array(self.secrets.map { .string($0) }) }
        if !self.weights.isEmpty { spec["weights"] = .array(self.weights.map(\.json)) }
        spec["timeout"] = .string(self.timeout.description)
        spec["concurrency"] = .number(self.concurrency)
        spec["reuse"] = .string(self.reuse.rawValue)
        if let batch = self.batch {
            spec["batch"] = [
                "maxSize": .number(batch.maxSize), "maxBytes": .string(Quantity.text(bytes: batch.maxBytes)),
                "maxWait": .string(batch.maxWait.description),
            ]
        }
        spec["resources"] = self.resources.json
        spec["scale"] = self.scale.json
        var sandbox: JSONValue = [
            "profile": .string(self.profile.rawValue), "isolation": .string(self.isolation.name),
            "network": self.network?.json ?? "none",
        ]
        if self.calls != .sandbox { sandbox["calls"] = .string(self.calls.rawValue) }
        spec["sandbox"] = sandbox
        spec["triggers"] = .array(
            self.triggers.map(\.json) + self.httpTriggers.map(\.json) + self.scheduleTriggers.map(\.json))
        if let emits = self.emits { spec["emits"] = .array(emits.map { .local($0) }) }
        if let tool = self.tool { spec["tool"] = tool.json }
        if let prompt = self.prompt { spec["prompt"] = prompt.json }
        if let resource = self.resource { spec["resource"] = resource.json }
        return Manifest.document(Manifest.function(self).identity, self.labels, spec)
    }
}

extension FunctionManifest.Resources {
    fileprivate var json: JSONValue {
        var resources: JSONValue = [
            "memory": .string(Quantity.text(bytes: self.memoryBytes)),
            "cpu": .string(Quantity.text(cpuMillis: Int64(self.cpuMillis))),
            "processes": .number(self.processes), "scratch": .string(Quantity.text(bytes: self.scratchBytes)),
        ]
        if let bytes = self.hostBytes { resources["hostMemory"] = .string(Quantity.text(bytes: bytes)) }
        if let gpu = self.gpu {
            resources["gpu"] = [
                "memory": .string(Quantity.text(bytes: gpu.memoryBytes)),
                "residue": .string(Quantity.text(bytes: gpu.residueBytes)), "count": .number(gpu.count),
                "kind": .string(gpu.kind ?? "any"),
            ]
        }
        if self.workClass != (self.gpu == nil ? .cpu : .gpu) { resources["class"] = .string(self.workClass.name) }
        return resources
    }
}

extension FunctionManifest.Scale {
    /// What is about devices is told where it is not as it always was.
    fileprivate var json: JSONValue {
        var scale: JSONValue = [
            "min": .number(self.min), "max": .number(self.max), "idle": .string(self.idle.description),
        ]
        if let span = self.deviceIdle { scale["gpuIdle"] = .string(span.description) }
        if self.hostIdle != .seconds(14_400) {
            scale["hostIdle"] = .string(self.hostIdle?.description ?? "adaptive")
        }
        if self.weight != 1 { scale["weight"] = .number(self.weight) }
        return scale
    }
}

extension NetworkAccess {
    fileprivate var json: JSONValue {
        var network: JSONValue = ["allow": .array(self.allow.map { .string($0.description) })]
        guard !self.inject.isEmpty else { return network }
        network["inject"] = .array(
            self.inject.map {
                [
                    "to": .string($0.target.description), "header": .string($0.header), "secret": .string($0.secret),
                    "prefix": .string($0.prefix), "paths": .array($0.paths.map { .string($0) }),
                    "methods": .array($0.methods.map { .string($0) }),
                ]
            })
        return network
    }
}

extension TriggerManifest {
    fileprivate var json: JSONValue {
        var trigger: JSONValue = ["topic": .local(self.topic), "name": .string(self.name)]
        guard !self.isTable else {
            trigger["table"] = true
            return trigger
        }
        if !self.filter.isEmpty { trigger["filter"] = self.filter.json }
        trigger["order"] = .string(self.order.rawValue)
        trigger["from"] =
            switch self.from {
            case .earliest: "earliest"
            case .latest: "latest"
            case .timestamp(let moment): .string(Moment.text(moment))
            }
        if let replyTo = self.replyTo { trigger["replyTo"] = .local(replyTo) }
        var retry: JSONValue = [
            "attempts": .number(self.retry.attempts), "initial": .string(self.retry.initial.description),
            "max": .string(self.retry.max.description),
        ]
        if let maxAge = self.retry.maxAge { retry["maxAge"] = .string(maxAge.description) }
        trigger["retry"] = retry
        if let deadLetter = self.deadLetter { trigger["deadLetter"] = .local(deadLetter) }
        trigger["onExhausted"] = .string(self.onExhausted.rawValue)
        trigger["delivery"] = .string(self.delivery.rawValue)
        if let window = self.dedupWindow { trigger["dedup"] = ["window": .string(window.description)] }
        trigger["onExpired"] = .string(self.onExpired.rawValue)
        trigger["paused"] = .boolean(self.isPaused)
        return trigger
    }
}

extension ScheduleTriggerManifest {
    fileprivate var json: JSONValue {
        [
            "schedule": [
                "cron": .string(self.cron.description), "zone": .string(self.zone),
                "missed": .string(self.missed.rawValue),
            ],
            "name": .string(self.name), "paused": .boolean(self.isPaused),
        ]
    }
}

extension HTTPTriggerManifest {
    fileprivate var json: JSONValue {
        let http: JSONValue = [
            "path": .string(self.path.description), "methods": .array(self.methods.map { .string($0) }),
            "auth": .string(self.authentication.rawValue),
        ]
        return ["http": http, "name": .string(self.name)]
    }
}

extension TopicManifest {
    fileprivate var json: JSONValue {
        let configuration = self.configuration
        let spec: JSONValue = [
            "partitions": .number(configuration.partitions),
            "retention": [
                "time": .string(configuration.retentionTime?.description ?? "unlimited"),
                "size": .string(configuration.retentionBytes.map { Quantity.text(bytes: $0) } ?? "unlimited"),
            ],
            "compact": .boolean(configuration.isCompacted),
        ]
        return Manifest.document(Manifest.topic(self).identity, self.labels, spec)
    }
}

extension JSONValue {
    static func sorted(_ texts: [String: String]) -> JSONValue {
        .object(JSONObject(texts.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }))
    }

    /// A topic by its name in its namespace; manifests name no others.
    fileprivate static func local(_ topic: TopicName) -> JSONValue { .string(topic.local?.name ?? topic.onLog) }
}

extension FunctionManifest.Weights {
    fileprivate var json: JSONValue {
        var json: JSONValue = ["name": .string(self.name), "sha256": .string(self.sha256)]
        switch self.source {
        case .file(let path): json["file"] = .string(path)
        case .url(let url): json["url"] = .string(url)
        }
        if let bytes = self.bytes { json["size"] = .string(Quantity.text(bytes: bytes)) }
        return json
    }
}

internal import ApusCore
internal import ApusJSON

extension ToolManifest {
    var json: JSONValue {
        var tool: JSONValue = ["name": .string(self.name)]
        if let title = self.title { tool["title"] = .string(title) }
        tool["input"] = self.input.json
        if let output = self.output { tool["output"] = output.json }
        var annotations: JSONValue = [:]
        let hints = self.annotations
        for (name, hint) in [
            ("readOnly", hints.readOnly), ("destructive", hints.destructive), ("idempotent", hints.idempotent),
            ("openWorld", hints.openWorld),
        ] {
            if let hint { annotations[name] = .boolean(hint) }
        }
        tool["annotations"] = annotations
        tool["approval"] = self.approval.json
        tool["async"] = .string(self.asynchrony.rawValue)
        tool["questions"] = .string(self.questions.rawValue)
        tool["scopes"] = .array(self.scopes.map { .string($0) })
        if let cache = self.cache {
            tool["cache"] = ["time": .string(cache.time.description), "for": .string(cache.scope.rawValue)]
        }
        tool["limits"] = self.bounds.json
        tool["maxResult"] = .string(Quantity.text(bytes: self.maxResult))
        tool["resultLimit"] = .string(Quantity.text(bytes: self.resultLimit))
        tool["keepResult"] = .string(self.keepResult.description)
        tool["version"] = .number(self.version)
        tool["weight"] = .number(self.weight)
        tool["exposed"] = .boolean(self.isExposed)
        if let signature = self.signature {
            tool["signature"] = ["key": .string(signature.key), "value": .string(signature.value)]
        }
        return tool
    }
}

extension ToolManifest.Schema {
    /// A schema goes as text: a tree would not keep how numbers are written.
    fileprivate var json: JSONValue {
        switch self {
        case .text(let text): .string(String(decoding: text, as: UTF8.self))
        case .file(let file): .string(file)
        }
    }
}

extension PromptManifest {
    var json: JSONValue {
        var prompt: JSONValue = ["name": .string(self.name)]
        if let title = self.title { prompt["title"] = .string(title) }
        prompt["arguments"] = .array(
            self.arguments.map { argument in
                var json: JSONValue = ["name": .string(argument.name)]
                if let title = argument.title { json["title"] = .string(title) }
                if let about = argument.about { json["description"] = .string(about) }
                json["required"] = .boolean(argument.isRequired)
                return json
            })
        if let completion = self.completion { prompt["complete"] = completion.json }
        prompt["scopes"] = .array(self.scopes.map { .string($0) })
        return prompt
    }
}

extension PromptManifest.Completion {
    fileprivate var json: JSONValue {
        switch self {
        case .function: "function"
        case .values(let values):
            .object(
                JSONObject(
                    values.sorted { $0.key < $1.key }.map { ($0.key, .array($0.value.map { .string($0) })) }))
        }
    }
}

extension ResourceManifest {
    var json: JSONValue {
        var resource: JSONValue = ["name": .string(self.name)]
        if let title = self.title { resource["title"] = .string(title) }
        switch self.address {
        case .uri(let uri): resource["uri"] = .string(uri)
        case .template(let template): resource["template"] = .string(template)
        }
        if let mimeType = self.mimeType { resource["mimeType"] = .string(mimeType) }
        if let completion = self.completion { resource["complete"] = completion.json }
        resource["scopes"] = .array(self.scopes.map { .string($0) })
        return resource
    }
}

extension ToolManifest.Approval {
    fileprivate var json: JSONValue { ["when": .string(self.when.rawValue), "by": .string(self.by.rawValue)] }
}

extension ToolManifest.Bounds {
    fileprivate var json: JSONValue {
        var limits: JSONValue = [:]
        for (name, bound) in [
            ("callsPerSecond", self.callsPerSecond), ("callsPerDay", self.callsPerDay), ("concurrency", self.concurrency),
        ] {
            if let bound { limits[name] = .number(bound) }
        }
        return limits
    }
}

extension ToolServerManifest {
    var json: JSONValue {
        var spec: JSONValue = [:]
        if let title = self.title { spec["title"] = .string(title) }
        spec["tools"] = self.tools.json
        spec["prompts"] = self.prompts.json
        spec["resources"] = self.resources.json
        if let instructions = self.instructions { spec["instructions"] = .string(instructions) }
        spec["mode"] = .string(self.mode.rawValue)
        spec["limits"] = self.bounds.json
        spec["approval"] = self.approval.json
        spec["auth"] = .string(self.authentication.rawValue)
        spec["keep"] = .string(self.keep.description)
        return Manifest.document(Manifest.toolServer(self).identity, self.labels, spec)
    }
}

extension ToolServerManifest.Selector {
    fileprivate var json: JSONValue {
        switch self {
        case .all: "all"
        case .none: "none"
        case .labels(let labels): ["labels": .sorted(labels)]
        case .names(let names): ["names": .array(names.map { .string($0) })]
        }
    }
}

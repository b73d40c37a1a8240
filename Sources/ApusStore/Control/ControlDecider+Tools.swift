internal import ApusCore
internal import ApusManifest

/// Tool servers, and the names that functions give their tools.
extension ControlDecider {
    func deploy(_ server: ToolServerManifest, into decision: inout ControlDecision) throws(ApusError) {
        let current = self.catalogue.toolServers[server.name]
        _ = try self.deploy(
            .toolServer, server.name, isThere: current != nil, isSame: current?.manifest == server,
            count: self.catalogue.toolServers.count, atMost: Limits.Control.toolServers, called: "tool servers",
            into: &decision
        ) { .toolServer(manifest: Manifest.toolServer(server).toJSON()) }
    }

    /// Makes or changes what is one record under its name, such as a tool server or an upstream.
    /// - Parameters:
    ///   - count: how many of the kind there are, of which there may be `atMost`.
    ///   - kinds: what they are called in the plural.
    /// - Returns: whether there is anything to write: not where it is as it was.
    func deploy(
        _ kind: ControlRecord.Kind, _ name: ResourceName, isThere: Bool, isSame: Bool, count: Int, atMost bound: Int,
        called kinds: String, into decision: inout ControlDecision, _ content: () -> ControlRecord.Content
    ) throws(ApusError) -> Bool {
        let generation = self.catalogue.generation(kind, name.namespace, name.name)
        var outcome = ControlDecision.Outcome(
            kind: kind, namespace: name.namespace, name: name.name, action: .unchanged, generation: generation)
        guard !isSame else {
            decision.outcomes.append(outcome)
            return false
        }
        guard isThere || count < bound else {
            throw ApusError(.limitReached, "\(bound) \(kinds) are deployed, no more are possible: delete some first")
        }
        outcome.action = isThere ? .updated : .created
        outcome.generation = generation + 1
        decision.outcomes.append(outcome)
        decision.records.append(
            ControlRecord(
                kind: kind, namespace: name.namespace, name: name.name, generation: generation + 1, time: self.now,
                content: content()))
        return true
    }

    func deleteToolServer(_ name: ResourceName, _ ifMatch: UInt64?) throws(ApusError) -> ControlDecision {
        guard self.catalogue.toolServers[name] != nil else { throw name.isNoToolServer }
        if let ifMatch { try self.check(ifMatch, .toolServer, name.namespace, name.name) }
        return self.deletion(.toolServer, name.namespace, name.name)
    }

    /// An agent that names a tool, a prompt or a resource must reach one function, whichever was deployed first.
    func checkTools(_ functions: [FunctionManifest]) throws(ApusError) {
        let deployed = functions.filter { !$0.offeredNames.isEmpty }
        guard !deployed.isEmpty else { return }
        for function in deployed {
            guard let file = function.tool?.schemaFiles.first else { continue }
            throw ApusError(
                .manifestInvalid,
                "the tool of '\(function.name)' names the file `\(file)` for a schema: `apus deploy` reads such files; send the schema itself"
            )
        }
        try self.checkSignatures(deployed)
        let replaced = Set(deployed.map(\.name))
        var owners: [String: ResourceName] = [:]
        for function in self.catalogue.functions.values where !replaced.contains(function.name) {
            for name in function.manifest.offeredNames { owners["\(function.name.namespace)/\(name)"] = function.name }
        }
        for function in deployed {
            for name in function.offeredNames {
                guard let owner = owners.updateValue(function.name, forKey: "\(function.namespace)/\(name)") else {
                    continue
                }
                throw ApusError(
                    .conflict,
                    "\(function.place(ofOffer: name)) is offered by the function '\(owner)' already: give it another name, or "
                        + "another `version`"
                )
            }
        }
    }
}

extension Manifest.Kind {
    /// What a document of this kind becomes.
    var record: ControlRecord.Kind {
        switch self {
        case .function: .function
        case .topic: .topic
        case .toolServer: .toolServer
        case .upstream: .upstream
        case .agent: .principal
        }
    }
}

extension ResourceName {
    var isNoToolServer: ApusError {
        ApusError(
            .notFound, "there is no tool server '\(self)'; 'apus get tool-servers' lists those that are")
    }
}

extension FunctionManifest {
    /// What no other function of the namespace may offer too.
    fileprivate var offeredNames: [String] {
        var names: [String] = []
        if let tool = self.tool {
            names.append("the version \(tool.version) of the tool `\(tool.name)`")
        }
        if let prompt = self.prompt { names.append("the prompt `\(prompt.name)`") }
        switch self.resource?.address {
        case .uri(let uri): names.append("the resource `\(uri)`")
        case .template(let template): names.append("the template `\(template)`")
        case nil: break
        }
        return names
    }

    /// For messages: where the manifest says so, where that is known.
    fileprivate func place(ofOffer name: String) -> String {
        let field = self.tool != nil ? "spec.tool.name" : self.prompt != nil ? "spec.prompt.name" : "spec.resource"
        return self.locations[field].map { "\($0): \(name)" } ?? name
    }
}

internal import ApusCore
internal import ApusJSON
internal import ApusManifest

/// Upstreams: other MCP servers whose tools are offered here.
extension ControlDecider {
    func deploy(_ upstream: UpstreamManifest, with documents: [DeployDocument], into decision: inout ControlDecision)
        throws(ApusError)
    {
        let current = self.catalogue.upstreams[upstream.name]
        try self.check(upstream, with: documents)
        let isNew = try self.deploy(
            .upstream, upstream.name, isThere: current != nil, isSame: current?.manifest == upstream,
            count: self.catalogue.upstreams.count, atMost: Limits.Control.upstreams, called: "upstreams",
            into: &decision
        ) { .upstream(manifest: Manifest.upstream(upstream).toJSON()) }
        guard isNew else { return }
        // The function that spoke with an address is of no use to one that names a function.
        if let current, current.manifest.ownFunction != nil, upstream.ownFunction == nil {
            decision.records += try self.deleteOwnedFunction(upstream.name).records
        }
    }

    private func check(_ upstream: UpstreamManifest, with documents: [DeployDocument]) throws(ApusError) {
        for other in self.catalogue.upstreams.values.map(\.manifest)
            + documents.compactMap({ if case .upstream(let other) = $0.manifest { other } else { nil } })
        where other.name != upstream.name && other.namespace == upstream.namespace && other.prefix == upstream.prefix {
            throw ApusError(
                .conflict,
                "the upstream '\(other.name)' has the prefix `\(other.prefix)` already: give '\(upstream.name)' another `spec.prefix`")
        }
        let function = upstream.function
        let deployed = documents.compactMap { document -> FunctionManifest? in
            if case .function(let each) = document.manifest, each.name == function { each } else { nil }
        }.first
        if upstream.ownFunction != nil {
            let owns = self.catalogue.upstreams[upstream.name]?.manifest.ownFunction != nil
            guard deployed == nil, owns || self.catalogue.functions[function] == nil else {
                throw ApusError(
                    .conflict,
                    "there is a function '\(function)', and an upstream with a `url` makes one of its own name: give one of them another name"
                )
            }
            return
        }
        guard let found = deployed ?? self.catalogue.functions[function]?.manifest else {
            throw ApusError(
                .functionNotFound,
                "the upstream '\(upstream.name)' names the function '\(function)', which is not deployed and not among the documents")
        }
        guard found.runtime == .mcp else {
            throw ApusError(
                .manifestInvalid,
                "the upstream '\(upstream.name)' names the function '\(function)' with the runtime \(found.runtime.rawValue), "
                    + "expected one with the runtime mcp"
            )
        }
    }

    /// The functions that speak with servers that others run, beside what was sent.
    static func expanded(_ documents: [DeployDocument]) -> [DeployDocument] {
        documents
            + documents.compactMap { document in
                guard case .upstream(let upstream) = document.manifest, let function = upstream.ownFunction else {
                    return nil
                }
                return DeployDocument(manifest: .function(function), bundle: document.bundle)
            }
    }

    /// A function that an upstream made is changed with it, and not without.
    func checkOwnership(_ documents: [DeployDocument]) throws(ApusError) {
        for case .function(let function) in documents.map(\.manifest) { try self.checkOwnership(function.name) }
    }

    func checkOwnership(_ function: ResourceName) throws(ApusError) {
        guard self.catalogue.upstreams[function]?.manifest.ownFunction != nil else { return }
        throw ApusError(
            .conflict, "the function '\(function)' is part of the upstream of its name: change or delete that")
    }

    func deleteUpstream(_ name: ResourceName, _ ifMatch: UInt64?) throws(ApusError) -> ControlDecision {
        guard let current = self.catalogue.upstreams[name] else { throw name.isNoUpstream }
        if let ifMatch { try self.check(ifMatch, .upstream, name.namespace, name.name) }
        var decision = self.deletion(.upstream, name.namespace, name.name)
        if self.catalogue.upstreamTools[name] != nil {
            decision.records += self.deletion(.upstreamTools, name.namespace, name.name).records
        }
        if current.manifest.ownFunction != nil, self.catalogue.functions[name] != nil {
            let function = try self.deleteOwnedFunction(name)
            decision.records += function.records
        }
        return decision
    }

    /// What an upstream lists now.
    func takeUpstreamList(
        _ name: ResourceName, _ list: [UpstreamDefinition], of kinds: Set<UpstreamDefinition.Kind>
    ) throws(ApusError) -> ControlDecision {
        guard let upstream = self.catalogue.upstreams[name] else { throw name.isNoUpstream }
        var tools = self.catalogue.upstreamTools[name] ?? UpstreamTools()
        tools.take(list, of: kinds, pins: upstream.manifest.pins)
        return try self.keep(tools, of: name)
    }

    func switchUpstreamTool(_ name: ResourceName, _ tool: String, _ change: UpstreamTools.Switch)
        throws(ApusError) -> ControlDecision
    {
        guard let upstream = self.catalogue.upstreams[name] else { throw name.isNoUpstream }
        if case .accept = change, upstream.manifest.pins?[tool] != nil {
            throw ApusError(
                .conflict, "the tool '\(tool)' is pinned in the manifest of the upstream '\(name)': change `spec.pins`")
        }
        var tools = self.catalogue.upstreamTools[name] ?? UpstreamTools()
        try tools.apply(change, to: tool)
        var decision = try self.keep(tools, of: name)
        decision.outcomes.append(
            ControlDecision.Outcome(
                kind: .upstream, namespace: name.namespace, name: name.name,
                action: decision.records.isEmpty ? .unchanged : .updated,
                generation: self.catalogue.generation(.upstream, name.namespace, name.name)))
        return decision
    }

    private func keep(_ tools: UpstreamTools, of name: ResourceName) throws(ApusError) -> ControlDecision {
        var decision = ControlDecision()
        let generation = self.catalogue.generation(.upstreamTools, name.namespace, name.name)
        guard tools != self.catalogue.upstreamTools[name] ?? UpstreamTools() else { return decision }
        let json = tools.json
        guard json.encoded().count <= Limits.Control.upstreamToolsBytes else {
            throw ApusError(
                .limitReached,
                "what the upstream '\(name)' lists has more than \(Limits.Control.upstreamToolsBytes) bytes")
        }
        decision.records.append(
            ControlRecord(
                kind: .upstreamTools, namespace: name.namespace, name: name.name, generation: generation + 1,
                time: self.now, content: .upstreamTools(json)))
        return decision
    }
}

extension ResourceName {
    var isNoUpstream: ApusError {
        ApusError(.notFound, "there is no upstream '\(self)'; 'apus get upstreams' lists those that are")
    }
}

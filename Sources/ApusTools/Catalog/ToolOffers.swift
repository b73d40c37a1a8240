internal import ApusCore
internal import ApusManifest

/// All that the functions of a namespace offer to agents.
struct ToolOffers: Sendable {
    private struct Offer: Sendable {
        let revision: String
        var tool: Tool?
        var prompt: Prompt?
        var resource: Resource?
        var template: ResourceTemplate?
    }

    private struct RemoteKey: Hashable {
        let upstream: ResourceName
        let tool: String
    }

    /// What a tool of an upstream was made of.
    private struct RemoteOffer: Sendable {
        let manifest: UpstreamManifest
        let definition: UpstreamDefinition
        let tool: Tool
    }

    private let offers: [ResourceName: Offer]
    private let remotes: [RemoteKey: RemoteOffer]
    /// Those that are hidden are not among them.
    let tools: [Tool]
    let prompts: [Prompt]
    let resources: [Resource]
    let templates: [ResourceTemplate]

    /// - Parameter previous: offers of revisions that did not change are taken from it, not made again.
    init(
        _ functions: [ToolCatalog.Source], _ upstreams: [UpstreamOffer] = [], disabled: Set<String> = [], previous: ToolOffers?
    ) {
        var offers: [ResourceName: Offer] = [:]
        for source in functions {
            let name = source.manifest.name
            if let known = previous?.offers[name], known.revision == source.revision {
                offers[name] = known
                continue
            }
            let manifest = source.manifest
            guard manifest.tool != nil || manifest.prompt != nil || manifest.resource != nil else { continue }
            offers[name] = Offer(
                revision: source.revision, tool: Tool(manifest, revision: source.revision),
                prompt: Prompt(manifest, revision: source.revision),
                resource: Resource(manifest, revision: source.revision),
                template: ResourceTemplate(manifest, revision: source.revision))
        }
        self.offers = offers
        // Of two that claim one name, which a deploy refuses, the function that is first by name has it on every node.
        let sorted = offers.sorted { $0.key < $1.key }.map(\.value)
        let own = sorted.compactMap(\.tool)
        self.remotes = Self.remotes(upstreams, previous?.remotes ?? [:])
        // A name that our own functions use is theirs, hidden or not, and of two upstreams the first by name has it.
        var taken = Set(own.map(\.name)).union(own.filter(\.isExposed).map(\.versionName))
        let others = self.remotes.sorted { ($0.key.upstream, $0.key.tool) < ($1.key.upstream, $1.key.tool) }.map(\.value.tool)
        let shown = own.filter { !disabled.contains($0.name.text) && !disabled.contains($0.versionName.text) }
        self.tools = shown + others.filter { taken.insert($0.name).inserted }
        let given = upstreams.sorted { $0.upstream.name < $1.upstream.name }.flatMap { offer in
            offer.definitions.sorted { $0.name < $1.name }.map { (definition: $0, upstream: offer.upstream) }
        }
        // As with tools: what our own functions offer is theirs, then the first upstream's.
        var (names, addresses, patterns) = (Set<ToolName>(), Set<String>(), Set<String>())
        self.prompts = (sorted.compactMap(\.prompt) + given.compactMap { Prompt($0.definition, of: $0.upstream) })
            .filter { names.insert($0.name).inserted }
        self.resources = (sorted.compactMap(\.resource) + given.compactMap { Resource($0.definition, of: $0.upstream) })
            .filter { addresses.insert($0.uri).inserted }
        self.templates = (sorted.compactMap(\.template) + given.compactMap { ResourceTemplate($0.definition, of: $0.upstream) })
            .filter { patterns.insert($0.template.text).inserted }
    }

    func tool(of function: ResourceName) -> Tool? { self.offers[function]?.tool ?? self.tools.first { $0.function == function } }

    func own(_ name: String) -> Tool? {
        let own = self.offers.sorted { $0.key < $1.key }.compactMap(\.value.tool)
        return own.first { $0.name.text == name } ?? own.first { $0.isExposed && $0.versionName.text == name }
    }

    private static func remotes(
        _ upstreams: [UpstreamOffer], _ previous: [RemoteKey: RemoteOffer]
    ) -> [RemoteKey: RemoteOffer] {
        var remotes: [RemoteKey: RemoteOffer] = [:]
        for offer in upstreams {
            for definition in offer.definitions where definition.kind == .tool {
                let key = RemoteKey(upstream: offer.upstream.name, tool: definition.name)
                if let known = previous[key], known.manifest == offer.upstream, known.definition == definition {
                    remotes[key] = known
                } else {
                    remotes[key] = RemoteOffer(
                        manifest: offer.upstream, definition: definition, tool: Tool(definition, of: offer.upstream))
                }
            }
        }
        return remotes
    }
}

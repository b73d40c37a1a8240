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
    let tools: [Tool]
    let prompts: [Prompt]
    let resources: [Resource]
    let templates: [ResourceTemplate]

    /// - Parameter previous: offers of revisions that did not change are taken from it, not made again.
    init(_ functions: [ToolCatalog.Source], _ upstreams: [UpstreamOffer] = [], previous: ToolOffers?) {
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
        // A name that our own functions use is theirs, and of two upstreams the first by name has it.
        var taken = Set(own.map(\.name)).union(own.filter(\.isExposed).map(\.versionName))
        let others = self.remotes.sorted { ($0.key.upstream, $0.key.tool) < ($1.key.upstream, $1.key.tool) }.map(\.value.tool)
        self.tools = own + others.filter { taken.insert($0.name).inserted }
        self.prompts = sorted.compactMap(\.prompt)
        self.resources = sorted.compactMap(\.resource)
        self.templates = sorted.compactMap(\.template)
    }

    private static func remotes(
        _ upstreams: [UpstreamOffer], _ previous: [RemoteKey: RemoteOffer]
    ) -> [RemoteKey: RemoteOffer] {
        var remotes: [RemoteKey: RemoteOffer] = [:]
        for offer in upstreams {
            for definition in offer.tools {
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

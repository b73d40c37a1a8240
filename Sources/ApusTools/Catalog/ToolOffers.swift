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

    private let offers: [ResourceName: Offer]
    let tools: [Tool]
    let prompts: [Prompt]
    let resources: [Resource]
    let templates: [ResourceTemplate]

    /// - Parameter previous: offers of revisions that did not change are taken from it, not made again.
    init(_ functions: [ToolCatalog.Source], previous: ToolOffers?) {
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
        self.tools = sorted.compactMap(\.tool)
        self.prompts = sorted.compactMap(\.prompt)
        self.resources = sorted.compactMap(\.resource)
        self.templates = sorted.compactMap(\.template)
    }
}

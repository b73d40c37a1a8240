internal import ApusCore
internal import ApusManifest

/// What one tool server shows, or the whole namespace.
final class ToolSelection: Sendable {
    private enum Target: Sendable {
        case family(ToolFamily)
        case version(Tool)
    }

    /// Nil for the whole namespace.
    let server: ToolServer?
    private let targets: [String: Target]
    let prompts: [String: Prompt]
    let resources: [String: Resource]
    /// In the order of the list.
    let templates: [ResourceTemplate]
    /// Of each name the version that most calls go to, in the order of the list.
    let live: [Tool]
    private let listings: [ToolList: ToolListing]

    init(of offers: ToolOffers, by server: ToolServer?) {
        self.server = server
        let tools = Self.tools(of: offers, by: server)
        self.targets = tools.targets
        self.live = tools.live
        let prompts = offers.prompts.filter {
            (server?.prompts ?? .all).takes(names: [$0.name.text], labels: $0.labels)
        }
        self.prompts = Dictionary(prompts.map { ($0.name.text, $0) }, uniquingKeysWith: { first, _ in first })
        let selector = server?.resources ?? .all
        let resources = offers.resources.filter {
            selector.takes(names: [$0.function.name, $0.uri], labels: $0.labels)
        }
        self.resources = Dictionary(resources.map { ($0.uri, $0) }, uniquingKeysWith: { first, _ in first })
        let templates = offers.templates.filter {
            selector.takes(names: [$0.function.name, $0.template.text], labels: $0.labels)
        }
        self.templates = templates.sorted { $0.template.text.utf8.lexicographicallyPrecedes($1.template.text.utf8) }
        self.listings = [
            .tools: ToolListing(tools.entries),
            .prompts: ToolListing(
                self.prompts.values.map { .init(key: $0.name.text, encoded: $0.encoded, scopes: $0.scopes) }),
            .resources: ToolListing(
                self.resources.values.map { .init(key: $0.uri, encoded: $0.encoded, scopes: $0.scopes) }),
            .templates: ToolListing(
                self.templates.map { .init(key: $0.template.text, encoded: $0.encoded, scopes: $0.scopes) }),
        ]
    }

    func listing(_ list: ToolList) -> ToolListing { self.listings[list] ?? ToolListing([]) }

    /// Whether its lists show this version of a tool under the tool's own name.
    func shows(_ tool: Tool) -> Bool {
        guard case .family(let family) = self.targets[tool.name.text] else { return false }
        return family.live === tool
    }

    /// An item of the list of tools.
    func entry(named name: String) -> ToolListing.Entry? {
        switch self.targets[name] {
        case .family(let family):
            family.live.map { ToolListing.Entry(key: name, encoded: $0.encoded, scopes: $0.scopes) }
        case .version(let tool):
            ToolListing.Entry(key: name, encoded: tool.encoded(as: tool.versionName), scopes: tool.scopes)
        case nil: nil
        }
    }

    func tool(named name: String, draw: UInt64) -> Tool? {
        switch self.targets[name] {
        case .family(let family): family.drawn(draw)
        case .version(let tool): tool
        case nil: nil
        }
    }

    /// A version of that name, whatever its part of the calls is; nil where there is none, and for a name that means one alone.
    func tool(named name: String, version: Int) -> Tool? {
        guard case .family(let family) = self.targets[name] else { return nil }
        return family.versions.first { $0.version == version }
    }

    private static func tools(
        of offers: ToolOffers, by server: ToolServer?
    ) -> (targets: [String: Target], live: [Tool], entries: [ToolListing.Entry]) {
        let selector = server?.tools ?? .all
        var targets: [String: Target] = [:]
        var entries: [ToolListing.Entry] = []
        var byName: [ToolName: [Tool]] = [:]
        for tool in offers.tools {
            if selector.takes(names: [tool.name.text], labels: tool.labels) {
                byName[tool.name, default: []].append(tool)
            }
            if tool.isExposed,
                selector.takes(names: [tool.name.text, tool.versionName.text], labels: tool.labels),
                targets.updateValue(.version(tool), forKey: tool.versionName.text) == nil
            {
                let encoded = tool.encoded(as: tool.versionName)
                entries.append(.init(key: tool.versionName.text, encoded: encoded, scopes: tool.scopes))
            }
        }
        var live: [Tool] = []
        for (name, versions) in byName where targets[name.text] == nil {
            let family = ToolFamily(versions)
            targets[name.text] = .family(family)
            guard let tool = family.live else { continue }
            live.append(tool)
            entries.append(.init(key: name.text, encoded: tool.encoded, scopes: tool.scopes))
        }
        return (targets, live.sorted { $0.name < $1.name }, entries)
    }
}

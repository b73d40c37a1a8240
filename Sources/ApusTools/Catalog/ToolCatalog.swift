public import ApusCore
public import ApusManifest

/// The tools, prompts, resources and tool servers of one namespace as they are deployed: an immutable snapshot, made anew at each
/// deploy. Whoever holds one answers lists and calls from it without asking anybody.
public final class ToolCatalog: Sendable {
    /// A deployed function.
    public struct Source: Sendable {
        public let manifest: FunctionManifest
        public let revision: String

        public init(manifest: FunctionManifest, revision: String) {
            self.manifest = manifest
            self.revision = revision
        }
    }

    /// The name in `_meta` of a tool's SHA-256.
    public static let digestKey = "apus.dev/sha256"

    public let namespace: Namespace
    /// Grows with each snapshot of the process.
    public let version: UInt64
    let offers: ToolOffers
    /// All that the namespace offers: what `/mcp` shows.
    let whole: ToolSelection
    let selections: [String: ToolSelection]
    let finder: ToolFinder
    private let secret: [UInt8]

    /// - Parameters:
    ///   - disabled: names of tools of these functions, or of exposed versions, that nobody is to see.
    ///   - secret: the key of cursors; the same on all nodes.
    ///   - previous: what did not change since is taken from it.
    public init(
        namespace: Namespace, functions: [Source], servers: [ToolServerManifest], upstreams: [UpstreamOffer] = [],
        disabled: Set<String> = [], secret: [UInt8], previous: ToolCatalog? = nil
    ) {
        self.namespace = namespace
        self.version = (previous?.version ?? 0) + 1
        self.secret = secret
        let offers = ToolOffers(functions, upstreams, disabled: disabled, previous: previous?.offers)
        self.offers = offers
        self.whole = ToolSelection(of: offers, by: nil)
        self.finder = ToolFinder(offers.tools, previous: previous?.finder)
        self.selections = Dictionary(
            uniqueKeysWithValues: servers.map {
                ($0.name.name, ToolSelection(of: offers, by: ToolServer($0)))
            })
    }

    /// What a namespace offers in which nothing is deployed.
    public static func empty(_ namespace: Namespace, secret: [UInt8]) -> ToolCatalog {
        ToolCatalog(namespace: namespace, functions: [], servers: [], secret: secret)
    }

    // MARK: looking up

    /// The tool servers, by name.
    public var servers: [ToolServer] {
        self.selections.values.compactMap(\.server).sorted { $0.name < $1.name }
    }

    public func server(named name: String) -> ToolServer? { self.selections[name]?.server }

    /// The tool that a call goes to; nil for one that is not there, and for one that the caller may not use: it cannot tell them apart.
    /// - Parameters:
    ///   - server: nil for all of the namespace.
    ///   - draw: any number, evenly drawn: calls by name alone are shared out over versions by their weights.
    public func tool(named name: String, on server: String? = nil, for caller: ToolCaller, draw: UInt64 = 0) -> Tool? {
        guard caller.namespace == self.namespace, let tool = self.selection(server)?.tool(named: name, draw: draw),
            caller.mayUse(tool.scopes)
        else { return nil }
        return tool
    }

    /// The version that a call began with: it goes on there, however calls are shared out meanwhile.
    public func tool(named name: String, version: Int, on server: String? = nil, for caller: ToolCaller) -> Tool? {
        guard caller.namespace == self.namespace,
            let tool = self.selection(server)?.tool(named: name, version: version), caller.mayUse(tool.scopes)
        else { return nil }
        return tool
    }

    /// What a function offers as a tool, whoever may use it, hidden or not.
    public func tool(of function: ResourceName) -> Tool? { self.offers.tool(of: function) }

    /// A tool of a function under the name that agents know it by when they see it: by its own, or by that of an exposed version.
    public func ownTool(named name: String) -> Tool? { self.offers.own(name) }

    public func prompt(named name: String, on server: String? = nil, for caller: ToolCaller) -> Prompt? {
        guard caller.namespace == self.namespace, let prompt = self.selection(server)?.prompts[name],
            caller.mayUse(prompt.scopes)
        else { return nil }
        return prompt
    }

    /// What a URI names: itself, or by a template.
    public func resource(at uri: String, on server: String? = nil, for caller: ToolCaller) -> ResourceMatch? {
        guard caller.namespace == self.namespace, let selection = self.selection(server) else { return nil }
        if let resource = selection.resources[uri] { return caller.mayUse(resource.scopes) ? .resource(resource) : nil }
        for template in selection.templates where caller.mayUse(template.scopes) {
            if let values = template.template.values(in: uri) { return .template(template, values) }
        }
        return nil
    }

    /// A template by its own text, as completion names it.
    public func template(_ text: String, on server: String? = nil, for caller: ToolCaller) -> ResourceTemplate? {
        guard caller.namespace == self.namespace else { return nil }
        return self.selection(server)?.templates.first { $0.template.text == text && caller.mayUse($0.scopes) }
    }

    /// All tools that a caller may use, in the order of the list; of each name the version that most calls go to.
    public func tools(on server: String? = nil, for caller: ToolCaller) -> [Tool] {
        guard caller.namespace == self.namespace, let selection = self.selection(server) else { return [] }
        return selection.live.filter { caller.mayUse($0.scopes) }
    }

    func selection(_ server: String?) -> ToolSelection? {
        guard let server else { return self.whole }
        return self.selections[server]
    }

    // MARK: lists

    /// A page of a list.
    /// - Parameter cursor: nil or empty for the first page.
    public func page(
        of list: ToolList, on server: String? = nil, cursor: String? = nil, for caller: ToolCaller
    ) throws(ToolCatalogError) -> ToolPage {
        guard caller.namespace == self.namespace, let selection = self.selection(server) else { return .none }
        if list == .tools, selection.server?.mode == .search { return try self.metaPage(selection, cursor) }
        let listing = selection.listing(list)
        let purpose = ToolCursor.Purpose(
            list: list, namespace: self.namespace, server: server, caller: caller.name)
        var first = 0
        var snapshot = self.version
        if let cursor, !cursor.isEmpty {
            guard let cursor = ToolCursor(cursor, for: purpose, secret: self.secret) else { throw .invalidCursor }
            first = listing.index(after: cursor.key)
            snapshot = cursor.snapshot
        }
        let part = listing.part(from: first, for: caller)
        return ToolPage(
            items: part.items, count: part.count,
            nextCursor: part.last.map {
                ToolCursor(snapshot: snapshot, key: $0).encoded(for: purpose, secret: self.secret)
            },
            isPublic: selection.server?.authentication == ToolServerManifest.Authentication.none && !listing.isScoped)
    }
}

extension ToolCatalog {
    /// What a server with `mode: search` lists: the same for everybody, on one page.
    private func metaPage(_ selection: ToolSelection, _ cursor: String?) throws(ToolCatalogError) -> ToolPage {
        guard cursor?.isEmpty ?? true else { throw .invalidCursor }
        return ToolPage(
            items: MetaTool.items, count: MetaTool.allCases.count, nextCursor: nil,
            isPublic: selection.server?.authentication == ToolServerManifest.Authentication.none)
    }
}

/// What a URI names.
public enum ResourceMatch: Sendable {
    case resource(Resource)
    /// With what the template's variables stand for.
    case template(ResourceTemplate, [(name: String, value: String)])
}

extension ToolCatalog {
    /// The digests of all tools, for what is kept beside them.
    public var digests: Set<String> { Set(self.offers.tools.map(\.digest)) }

    /// URIs of resources whose function has another revision than in an earlier snapshot: what they say may be something else.
    public func changedResources(from previous: ToolCatalog?) -> Set<String> {
        guard let previous else { return [] }
        var changed: Set<String> = []
        for (uri, resource) in self.whole.resources {
            if let known = previous.whole.resources[uri], known.revision != resource.revision { changed.insert(uri) }
        }
        return changed
    }
}

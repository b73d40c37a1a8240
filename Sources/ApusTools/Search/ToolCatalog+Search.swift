extension ToolCatalog {
    /// The tools that a question is about, the best first, of those that the caller may use.
    /// - Parameters:
    ///   - labels: only tools with all of these.
    ///   - server: nil for all of the namespace.
    ///   - meaning: the question's vector and those of the tools, where an embedder answered at once.
    public func find(
        _ question: String, limit: Int, labels: [String: String] = [:], on server: String? = nil,
        for caller: ToolCaller, meaning: (question: [Float], tools: ToolVectors)? = nil
    ) -> ToolFinder.Found {
        guard caller.namespace == self.namespace, let selection = self.selection(server) else {
            return ToolFinder.Found(tools: [], ranking: .lexical)
        }
        return self.finder.find(question, limit: limit, meaning: meaning) { tool in
            caller.mayUse(tool.scopes) && selection.shows(tool) && labels.allSatisfy { tool.labels[$0.key] == $0.value }
        }
    }

    /// The item of `tools/list` of a tool that the caller may use.
    public func item(named name: String, on server: String? = nil, for caller: ToolCaller) -> [UInt8]? {
        guard caller.namespace == self.namespace, let entry = self.selection(server)?.entry(named: name),
            caller.mayUse(entry.scopes)
        else { return nil }
        return entry.encoded
    }

    /// Does what the first question would wait for. From a thread that may take its time.
    public func prepareSearch() { self.finder.prepare() }

    /// All tools of the namespace: what vectors are made of.
    public var allTools: [Tool] { self.offers.tools }
}

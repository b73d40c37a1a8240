internal import ApusTools

/// What a client sends back as `requestState`: which version of a tool it is about, then what is sealed. The version alone opens nothing.
struct RequestState {
    /// Nil for what is no tool.
    var version: Int?
    var sealed: String

    init(version: Int?, sealed: String) {
        self.version = version
        self.sealed = sealed
    }

    /// As it came, whatever it is.
    init(_ text: String) {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        self.version = parts.count == 2 ? Int(parts[0]) : nil
        self.sealed = String(parts.last ?? "")
    }

    /// Of a request; nil where none came with it.
    init?(_ request: ToolRequest) {
        guard let state = request.envelope.parameters.requestState, let text = request.envelope.text(state) else { return nil }
        self.init(text)
    }

    var text: String { (self.version.map { "\($0)." } ?? "") + self.sealed }
}

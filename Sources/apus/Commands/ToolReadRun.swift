internal import ApusCore
internal import ApusCrypto
internal import ApusJSON

/// Reads a resource, or a large result that a call left a link to, as it is.
struct ToolReadRun {
    let context: CommandContext

    func run() throws {
        let uri = self.context.arguments["URI"] ?? ""
        let result = try ToolConversation(context: self.context).ask("resources/read", named: uri) {
            $0.member("uri", uri)
        }
        guard self.context.output == .table else { return try self.context.show(result) { "" } }
        for part in result["contents"]?.array ?? [] {
            if let text = part["text"]?.string {
                try self.context.terminal.write(self.context.terminal.isInteractive ? SafeText.of(text) : text)
            } else if let blob = part["blob"]?.string {
                guard let bytes = Base64.decode(blob) else {
                    throw ApusError(.internal, "the resource '\(uri)' has bytes that are no Base64")
                }
                try self.context.terminal.write(bytes)
            }
        }
    }
}

internal import ApusCore
internal import ApusJSON

/// What a tool gave, as people read it.
struct ToolOutput {
    let context: CommandContext

    /// - Throws: an error that the tool gave.
    func show(_ result: JSONValue) throws {
        let texts = (result["content"]?.array ?? []).map { block -> String in
            switch block["type"]?.string {
            case "text": block["text"]?.string ?? ""
            case "resource_link": "[\(block["name"]?.string ?? "link"): \(block["uri"]?.string ?? "")]"
            case let type?: "[\(type)\(block["mimeType"]?.string.map { ", \($0)" } ?? "")]"
            case nil: ""
            }
        }
        let text = SafeText.of(texts.joined(separator: "\n"))
        guard result["isError"]?.boolean != true else { throw ApusError(.functionFailed, text) }
        try self.context.show(result) { text.hasSuffix("\n") ? text : text + "\n" }
    }
}

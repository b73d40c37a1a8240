internal import ApusManifest

/// The tools of a server with `mode: search`: instead of thousands of tools an agent is shown these three.
public enum MetaTool: String, Sendable, CaseIterable {
    case find = "find_tools"
    case describe = "describe_tool"
    case call = "call_tool"

    /// - Returns: nil on a server that lists its tools.
    public init?(_ name: String, on server: ToolServer?) {
        guard server?.mode == .search else { return nil }
        self.init(rawValue: name)
    }

    /// The items of `tools/list`, with commas between them.
    static let items = Array(MetaTool.allCases.map(\.item).joined(separator: ",").utf8)

    private var item: String {
        switch self {
        case .find:
            #"{"name":"find_tools","title":"Find tools","description":"Finds the tools that fit a task, the best first. Describe what is to be done in a few words, then look at the tools with describe_tool and run one with call_tool.","inputSchema":{"type":"object","properties":{"query":{"type":"string","minLength":1,"description":"What is to be done, as: cancel the order of a customer"},"limit":{"type":"integer","minimum":1,"maximum":50,"default":5,"description":"How many tools at most"},"labels":{"type":"object","additionalProperties":{"type":"string"},"description":"Only tools with all of these labels"}},"required":["query"],"additionalProperties":false},"outputSchema":{"type":"object","properties":{"tools":{"type":"array","items":{"type":"object","properties":{"name":{"type":"string"},"title":{"type":"string"},"description":{"type":"string"}},"required":["name"]}},"ranking":{"enum":["lexical","hybrid"]}},"required":["tools","ranking"]},"annotations":{"readOnlyHint":true,"openWorldHint":false}}"#
        case .describe:
            #"{"name":"describe_tool","title":"Describe tools","description":"Gives the whole definition of tools that find_tools named: their arguments, results and hints.","inputSchema":{"type":"object","properties":{"names":{"type":"array","items":{"type":"string"},"minItems":1,"maxItems":20,"description":"The names of the tools"}},"required":["names"],"additionalProperties":false},"outputSchema":{"type":"object","properties":{"tools":{"type":"array","items":{"type":"object"}},"unknown":{"type":"array","items":{"type":"string"}}},"required":["tools","unknown"]},"annotations":{"readOnlyHint":true,"openWorldHint":false}}"#
        case .call:
            #"{"name":"call_tool","title":"Call a tool","description":"Calls a tool by its name, with arguments that fit its inputSchema. Gives what the tool gives.","inputSchema":{"type":"object","properties":{"name":{"type":"string","description":"The name of the tool"},"arguments":{"type":"object","description":"Its arguments"}},"required":["name"],"additionalProperties":false}}"#
        }
    }
}

internal import ApusCore
internal import ApusJSON
internal import ApusManifest

/// The terms of one tool, weighted by where they stand. Made once for a tool.
struct ToolDocument: Sendable {
    /// How often a term counts, by its field's weight.
    let frequencies: [String: Float]
    let length: Float

    /// What a field's words count for.
    enum Weight {
        static let name: Float = 3
        static let title: Float = 2
        static let description: Float = 1
        static let property: Float = 0.6
        static let propertyDescription: Float = 0.4
        static let label: Float = 0.5
    }

    init(_ tool: Tool) {
        var frequencies: [String: Float] = [:]
        var length: Float = 0
        func add(_ text: String, _ weight: Float) {
            for term in SearchTerms.terms(text) {
                frequencies[term, default: 0] += weight
                length += weight
            }
        }
        add(tool.name.text, Weight.name)
        if let title = tool.title { add(title, Weight.title) }
        if let description = tool.description { add(description, Weight.description) }
        for label in tool.labels.values { add(label, Weight.label) }
        for name in Self.propertyNames(tool.inputSchema) { add(name, Weight.property) }
        for text in SchemaTexts.all(in: tool.inputSchema) { add(text.text, Weight.propertyDescription) }
        self.frequencies = frequencies
        self.length = length
    }

    private static func propertyNames(_ schema: [UInt8]) -> [String] {
        var names: [String] = []
        // A deploy has parsed it; a damaged one is found by its name and description.
        do throws(ApusError) { self.gather(try JSONValue.parse(schema), depth: 0, into: &names) } catch { return [] }
        return names
    }

    private static func gather(_ schema: JSONValue, depth: Int, into names: inout [String]) {
        guard depth < Limits.Tools.searchDepth, names.count < Limits.Tools.searchProperties else { return }
        for property in schema["properties"]?.object ?? [:] {
            names.append(property.name)
            self.gather(property.value, depth: depth + 1, into: &names)
        }
        if let items = schema["items"] { self.gather(items, depth: depth + 1, into: &names) }
    }
}

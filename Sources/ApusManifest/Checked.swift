internal import ApusCore
internal import ApusJSON

/// A value that fits its shape.
struct Checked: Sendable {
    indirect enum Value: Sendable {
        case text(String)
        case boolean(Bool)
        /// A number, microseconds, bytes or thousandths of a CPU.
        case integer(Int64)
        case list([Checked])
        case map([(name: String, value: Checked)])
        case json(JSONValue)
        case filter(EventFilter)
    }

    let value: Value
    let path: String
    let location: SourceLocation?

    /// The same value for comparison with a default.
    var plain: JSONValue {
        switch self.value {
        case .text(let text): .string(text)
        case .boolean(let value): .boolean(value)
        case .integer(let value): .integer(value)
        case .list(let elements): .array(elements.map(\.plain))
        case .map(let entries): .object(JSONObject(entries.map { ($0.name, $0.value.plain) }))
        case .json(let value): value
        case .filter(let filter): filter.json
        }
    }

    // What a field holds: nil when it is not there, or when it was found wrong and the manifest will be refused.
    subscript(name: String) -> Checked? {
        guard case .map(let entries) = self.value else { return nil }
        return entries.first { $0.name == name }?.value
    }
    var text: String? { if case .text(let text) = self.value { text } else { nil } }
    var boolean: Bool? { if case .boolean(let value) = self.value { value } else { nil } }
    var integer: Int64? { if case .integer(let value) = self.value { value } else { nil } }
    var span: TimeSpan? { self.integer.map { TimeSpan(microseconds: $0) } }
    var list: [Checked] { if case .list(let elements) = self.value { elements } else { [] } }
    var entries: [(name: String, value: Checked)] { if case .map(let entries) = self.value { entries } else { [] } }
    var filter: EventFilter? { if case .filter(let filter) = self.value { filter } else { nil } }
    var texts: [String: String] {
        Dictionary(
            self.entries.compactMap { entry in entry.value.text.map { (entry.name, $0) } }, uniquingKeysWith: { $1 })
    }
}

internal import ApusCore
internal import ApusJSON

/// The texts of a JSON Schema that models read: descriptions, titles, and the values they may choose from.
public enum SchemaTexts {
    public struct Text: Sendable, Equatable {
        public let text: String
        /// Where, as a JSON pointer.
        public let pointer: String
    }

    /// Empty for what is no JSON.
    public static func all(in schema: [UInt8]) -> [Text] {
        let value: JSONValue
        // Whoever checks the schema says what is wrong with it.
        do throws(ApusError) { value = try JSONValue.parse(schema) } catch { return [] }
        var texts: [Text] = []
        self.gather(value, pointer: "", depth: 0, into: &texts)
        return texts
    }

    private static func gather(_ value: JSONValue, pointer: String, depth: Int, into texts: inout [Text]) {
        guard depth < Limits.Manifest.depth else { return }
        switch value {
        case .object(let object):
            for member in object {
                let place = "\(pointer)/\(member.name.replacing("~", with: "~0").replacing("/", with: "~1"))"
                if ["description", "title", "$comment", "default", "const"].contains(member.name),
                    let text = member.value.string
                {
                    texts.append(Text(text: text, pointer: place))
                } else if ["enum", "examples"].contains(member.name) {
                    for (index, element) in (member.value.array ?? []).enumerated() {
                        if let text = element.string { texts.append(Text(text: text, pointer: "\(place)/\(index)")) }
                    }
                } else {
                    self.gather(member.value, pointer: place, depth: depth + 1, into: &texts)
                }
            }
        case .array(let elements):
            for (index, element) in elements.enumerated() {
                self.gather(element, pointer: "\(pointer)/\(index)", depth: depth + 1, into: &texts)
            }
        default: break
        }
    }
}

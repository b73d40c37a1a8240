internal import ApusCore
internal import ApusJSON

/// JSON written in one way, so that two clients that say the same say the same bytes: members by name, nothing between tokens, strings
/// with the fewest escapes. Numbers stay as they were written: 1 and 1.0 are two things to a function that looks.
public enum CanonicalJSON {
    /// - Returns: nil for what is no JSON, or nested deeper than a message may be.
    public static func encode(_ json: some Collection<UInt8>) -> [UInt8]? {
        Array(json).withUnsafeBytes { text in
            guard let document = try? JSONSlices.document(text, depth: Limits.Tools.messageDepth) else { return nil }
            var bytes: [UInt8] = []
            bytes.reserveCapacity(text.count)
            Self.append(document, text, to: &bytes)
            return bytes
        }
    }

    private static func append(_ value: JSONSlices.Value, _ text: UnsafeRawBufferPointer, to bytes: inout [UInt8]) {
        switch value.kind {
        case .object: Self.appendObject(value, text, to: &bytes)
        case .array:
            var elements: [JSONSlices.Value] = []
            JSONSlices.forEachElement(of: value, in: text) { elements.append($0) }
            bytes.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                Self.append(element, text, to: &bytes)
            }
            bytes.append(UInt8(ascii: "]"))
        case .string: JSONText.append(JSONSlices.text(of: value, in: text) ?? "", to: &bytes)
        case .number, .boolean, .null: bytes.append(contentsOf: text[value.range])
        }
    }

    private static func appendObject(
        _ object: JSONSlices.Value, _ text: UnsafeRawBufferPointer, to bytes: inout [UInt8]
    ) {
        var members: [(name: [UInt8], value: JSONSlices.Value)] = []
        JSONSlices.forEachMember(of: object, in: text) { name, value in
            // The name is written as a string too: with its quotes it can be read as one.
            let quoted = [UInt8(ascii: "\"")] + Array(name) + [UInt8(ascii: "\"")]
            let plain = quoted.withUnsafeBytes { quoted in
                (try? JSONSlices.document(quoted)).flatMap { JSONSlices.text(of: $0, in: quoted) }
            }
            members.append((Array((plain ?? "").utf8), value))
        }
        members.sort { $0.name.lexicographicallyPrecedes($1.name) }
        bytes.append(UInt8(ascii: "{"))
        for (index, member) in members.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            JSONText.append(String(decoding: member.name, as: UTF8.self), to: &bytes)
            bytes.append(UInt8(ascii: ":"))
            Self.append(member.value, text, to: &bytes)
        }
        bytes.append(UInt8(ascii: "}"))
    }
}

internal import ApusCore

/// A member of a JSON object, with its value as it was written: what is passed on and never looked into.
public struct JSONMember: Sendable, Equatable {
    public var name: String
    /// JSON.
    public var json: [UInt8]

    public init(name: String, json: [UInt8]) {
        self.name = name
        self.json = json
    }

    /// The object of these members: what ``all(in:)`` reads.
    public static func object(_ members: [JSONMember]) -> [UInt8] {
        var json: [UInt8] = [UInt8(ascii: "{")]
        for (index, member) in members.enumerated() {
            if index > 0 { json.append(UInt8(ascii: ",")) }
            JSONText.append(member.name, to: &json)
            json.append(UInt8(ascii: ":"))
            json.append(contentsOf: member.json)
        }
        json.append(UInt8(ascii: "}"))
        return json
    }

    /// The members of an object; none of what is no such thing.
    public static func all(in json: [UInt8]) -> [JSONMember] {
        var members: [JSONMember] = []
        json.withUnsafeBytes { text in
            guard let document = try? JSONSlices.document(text), document.kind == .object else { return }
            JSONSlices.forEachMember(of: document, in: text) {
                members.append(JSONMember(name: String(decoding: $0, as: UTF8.self), json: Array(text[$1.range])))
            }
        }
        return members
    }
}

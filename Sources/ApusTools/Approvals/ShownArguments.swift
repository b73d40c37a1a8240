internal import ApusCrypto
internal import ApusJSON

/// The arguments of a call as whoever decides about it sees them, and as two calls are compared.
public struct ShownArguments: Sendable, Equatable {
    /// JSON with the members of objects sorted, and with stars for what the schema marks as a secret.
    public let text: String
    /// SHA-256 of the arguments with the members of objects sorted: clients write them in any order.
    public let digest: [UInt8]

    /// - Parameter schema: of the tool's input. Marks secrets with `writeOnly: true` or `format: password`.
    /// - Returns: nil when the arguments are no JSON.
    public init?(_ arguments: ArraySlice<UInt8>, schema: [UInt8]) {
        guard let canonical = CanonicalJSON.encode(arguments), let value = try? JSONValue.parse(canonical) else {
            return nil
        }
        self.digest = SHA256.hash(canonical)
        let schema = (try? JSONValue.parse(schema, refusesDuplicates: false)) ?? [:]
        let masked = value.masked(by: schema, 0)
        self.text = String(decoding: JSONCleaner.clean(masked.encoded()), as: UTF8.self)
    }

    static let mask = "********"
    /// A schema that refers to itself is looked into so far; what lies deeper is masked with what holds it.
    static let depth = 16
}

extension JSONValue {
    /// Only what `properties` and `items` say is looked at: the places where schemas of tools mark secrets.
    fileprivate func masked(by schema: JSONValue, _ depth: Int) -> JSONValue {
        if schema["writeOnly"]?.boolean == true || schema["format"]?.string == "password" {
            return .string(ShownArguments.mask)
        }
        guard depth < ShownArguments.depth else { return .string(ShownArguments.mask) }
        switch self {
        case .object(let object):
            guard let properties = schema["properties"] else { return self }
            return .object(
                JSONObject(
                    object.members.map { member in
                        (member.name, properties[member.name].map { member.value.masked(by: $0, depth + 1) } ?? member.value)
                    }))
        case .array(let list):
            guard let items = schema["items"] else { return self }
            return .array(list.map { $0.masked(by: items, depth + 1) })
        default: return self
        }
    }
}

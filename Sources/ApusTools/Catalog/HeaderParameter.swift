internal import ApusCore
internal import ApusJSON

/// An argument that clients repeat in a header, `Mcp-Param-NAME`, because its schema says `x-mcp-header`.
public struct HeaderParameter: Sendable, Equatable {
    public enum Kind: String, Sendable { case string, integer, boolean }

    /// What stands behind `Mcp-Param-`.
    public let header: String
    /// The names of properties that lead to the argument.
    public let path: [String]
    public let kind: Kind

    /// Those of a schema that was checked at the deploy; one that is not well formed is left out, as clients leave it out.
    static func all(in schema: [UInt8]) -> [HeaderParameter] {
        guard schema.contains(subsequence: Array("x-mcp-header".utf8)) else { return [] }
        var found: [HeaderParameter] = []
        let value: JSONValue
        // A deploy has parsed it; a record that was damaged since loses its headers, not its tool.
        do throws(ApusError) { value = try JSONValue.parse(schema) } catch { return [] }
        Self.gather(value, path: [], into: &found)
        return found
    }

    private static func gather(_ schema: JSONValue, path: [String], into found: inout [HeaderParameter]) {
        guard path.count < Limits.Tools.headerDepth, let properties = schema["properties"]?.object else { return }
        for property in properties {
            let path = path + [property.name]
            if let header = property.value["x-mcp-header"]?.string,
                let kind = property.value["type"]?.string.flatMap({ Kind(rawValue: $0) })
            {
                found.append(HeaderParameter(header: header, path: path, kind: kind))
            }
            Self.gather(property.value, path: path, into: &found)
        }
    }
}

extension [UInt8] {
    fileprivate func contains(subsequence other: [UInt8]) -> Bool {
        guard let first = other.first, self.count >= other.count else { return false }
        return (0...(self.count - other.count)).contains { start in
            self[start] == first && self[start..<(start + other.count)].elementsEqual(other)
        }
    }
}

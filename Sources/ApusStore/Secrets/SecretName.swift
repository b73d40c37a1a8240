public import ApusCore

/// A secret's name in its namespace: letters, digits and `_`, no digit first, as a variable's.
public struct SecretName: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let namespace: Namespace
    public let name: String

    public init?(_ namespace: Namespace, _ name: String) {
        guard (1...Limits.Secrets.nameBytes).contains(name.utf8.count), let first = name.utf8.first,
            !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first), name.utf8.allSatisfy(Self.isAllowed)
        else { return nil }
        self.namespace = namespace
        self.name = name
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    public var description: String { self.name }

    public static func < (left: SecretName, right: SecretName) -> Bool {
        (left.namespace, left.name) < (right.namespace, right.name)
    }
}

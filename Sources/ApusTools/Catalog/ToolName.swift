internal import ApusCore
internal import ApusCrypto

/// The name of a tool as agents see it: 1 to 64 of `A`-`Z`, `a`-`z`, `0`-`9`, `_` and `-`, which every vendor's model takes.
///
/// A name that is none is made one: what is not allowed becomes `_`, and a hash of the whole name ends it, so that two
/// names that would look alike stay apart, whatever else is deployed and in whatever order.
public struct ToolName: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let text: String

    public init(_ name: String) {
        let allowed = name.utf8.allSatisfy(Self.isAllowed)
        if allowed, !name.isEmpty, name.utf8.count <= Limits.Tools.nameCharacters {
            self.text = name
            return
        }
        let hash = Hex.encode(SHA256.hash(Array(name.utf8))).prefix(Limits.Tools.nameHashCharacters)
        let kept = name.utf8.prefix(Limits.Tools.nameCharacters - hash.utf8.count - 1)
            .map { Self.isAllowed($0) ? $0 : UInt8(ascii: "_") }
        self.text = String(decoding: kept, as: UTF8.self) + "_" + hash
    }

    public var description: String { self.text }

    public static func < (left: Self, right: Self) -> Bool { left.text.utf8.lexicographicallyPrecedes(right.text.utf8) }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}

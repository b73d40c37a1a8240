internal import ApusCore

/// The path of an HTTP trigger below `/fn`: `/embed/{id}`, `/files/{path...}`.
///
/// Each segment is fixed text, a parameter that stands for one segment, or, last, a parameter for all that remains, which may
/// be nothing. Where several patterns match a path, the one that is more specific at the first segment in which they differ
/// counts: fixed text before a parameter before the rest.
public struct HTTPPathPattern: Sendable, Equatable, CustomStringConvertible {
    public enum Segment: Sendable, Equatable {
        case fixed(String)
        case parameter(String)
        case rest(String)
    }

    /// How two patterns stand to each other.
    public enum Relation: Sendable, Equatable {
        /// No path matches both.
        case apart
        /// One is at least as specific as the other everywhere: it is clear which of them a path means.
        case ordered
        /// They match the same paths.
        case same
        /// Some path matches both, and each is the more specific one somewhere.
        case ambiguous
    }

    /// Why a text is no pattern: what was expected.
    public struct Flaw: Error, Sendable, Equatable {
        public let expected: String
    }

    public let segments: [Segment]
    public let description: String

    /// The names of the parameters, in order.
    public var parameters: [String] {
        self.segments.compactMap { segment in
            switch segment {
            case .fixed: nil
            case .parameter(let name), .rest(let name): name
            }
        }
    }

    public init(parsing text: String) throws(Flaw) {
        guard text.utf8.first == UInt8(ascii: "/") else { throw Flaw(expected: "a path that starts with /") }
        self.description = text
        let parts = text == "/" ? [] : text.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= Limits.Manifest.pathSegments else {
            throw Flaw(expected: "at most \(Limits.Manifest.pathSegments) segments")
        }
        var segments: [Segment] = []
        for (index, part) in parts.enumerated() {
            segments.append(try Self.segment(part, isLast: index == parts.count - 1))
        }
        self.segments = segments
        let names = self.parameters
        guard Set(names).count == names.count else { throw Flaw(expected: "parameters that differ in their names") }
    }

    private static func segment(_ text: Substring, isLast: Bool) throws(Flaw) -> Segment {
        guard text.utf8.first == UInt8(ascii: "{"), text.utf8.last == UInt8(ascii: "}") else {
            return .fixed(try self.fixed(String(text)))
        }
        let isRest = text.hasSuffix("...}")
        guard !isRest || isLast else { throw Flaw(expected: "{name...} as the last segment only") }
        let name = String(text.dropFirst().dropLast(isRest ? 4 : 1))
        guard TextRule.isIdentifier(name), name.utf8.count <= Limits.labelBytes else {
            throw Flaw(expected: "names of parameters of letters, digits and _, no digit first, such as {id}")
        }
        return isRest ? .rest(name) : .parameter(name)
    }

    /// Text that some request's path can hold once its segments are decoded.
    private static func fixed(_ text: String) throws(Flaw) -> String {
        guard !text.isEmpty else { throw Flaw(expected: "no empty segment, and no / at the end") }
        guard text != ".", text != ".." else { throw Flaw(expected: "no segment . or ..") }
        guard !text.utf8.contains(where: { $0 < 0x21 || $0 == 0x7F || "{}%?#\\".utf8.contains($0) }) else {
            throw Flaw(expected: "segments that are {name} or hold none of { } % ? # \\ and no space")
        }
        return text
    }

    public func relation(to other: HTTPPathPattern) -> Relation {
        var isMore = false
        var isLess = false
        walk: for index in 0..<max(self.segments.count, other.segments.count) {
            let (mine, theirs) = (self.segment(index), other.segment(index))
            switch (mine, theirs) {
            case (.fixed(let mine), .fixed(let theirs)): if mine != theirs { return .apart }
            case (.parameter, .parameter): break
            case (.rest, .rest): break walk
            // The rest takes everything from here on, whatever the other says of it.
            case (.rest, _):
                isLess = true
                break walk
            case (_, .rest):
                isMore = true
                break walk
            case (.fixed, .parameter): isMore = true
            case (.parameter, .fixed): isLess = true
            case (nil, _), (_, nil): return .apart
            }
        }
        return isMore && isLess ? .ambiguous : isMore || isLess ? .ordered : .same
    }

    private func segment(_ index: Int) -> Segment? {
        index < self.segments.count ? self.segments[index] : nil
    }
}

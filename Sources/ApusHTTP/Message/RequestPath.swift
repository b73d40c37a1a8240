/// Why a path is refused.
public enum PathError: Error, Sendable, Equatable {
    case noSlash
    case tooManySegments
    /// `//` in the middle.
    case emptySegment
    /// `.` or `..`, however written: a proxy in front may have resolved it.
    case dotSegment
    /// A slash, a backslash, a control character or a NUL, however written: what is after it may be checked as one thing and
    /// served as another.
    case forbiddenCharacter
    case malformedEncoding
    case invalidUTF8

    public var message: String {
        switch self {
        case .noSlash: "a path starts with /"
        case .tooManySegments: "a path has at most \(RequestPath.segmentsMax) segments"
        case .emptySegment: "a path holds no empty segment"
        case .dotSegment: "a path holds no segment . or .."
        case .forbiddenCharacter: "a segment of a path holds no slash, backslash or control character, encoded or not"
        case .malformedEncoding: "% in a path is followed by two hexadecimal digits"
        case .invalidUTF8: "a path is UTF-8"
        }
    }
}

/// The path of a request: split first, then each segment decoded exactly once.
public struct RequestPath: Sendable, Equatable {
    public static let segmentsMax = 64
    /// Decoded. `/` has none; a slash at the end leaves an empty last one.
    public let segments: [String]

    /// - Parameter raw: as sent, without the query.
    public init(parsing raw: String) throws(PathError) {
        guard raw.utf8.first == UInt8(ascii: "/") else { throw .noSlash }
        let parts = raw.dropFirst().utf8.split(
            separator: UInt8(ascii: "/"), maxSplits: Self.segmentsMax, omittingEmptySubsequences: false)
        guard parts.count <= Self.segmentsMax else { throw .tooManySegments }
        if parts.count == 1, parts[0].isEmpty {
            self.segments = []
            return
        }
        var segments: [String] = []
        for (index, part) in parts.enumerated() {
            guard !part.isEmpty || index == parts.count - 1 else { throw .emptySegment }
            segments.append(try Self.segment(part))
        }
        self.segments = segments
    }

    private static func segment(_ part: Substring.UTF8View) throws(PathError) -> String {
        // What nearly all segments are made of stands for itself.
        if part.allSatisfy({ isPlain($0) }), !part.allSatisfy({ $0 == UInt8(ascii: ".") }) || part.isEmpty {
            return String(Substring(part))
        }
        guard part.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { throw .forbiddenCharacter }
        let bytes: [UInt8]
        do { bytes = try PercentDecoding.bytes(of: part) } catch { throw .malformedEncoding }
        guard bytes.allSatisfy({ $0 >= 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "\\") })
        else {
            throw .forbiddenCharacter
        }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .invalidUTF8 }
        guard text != ".", text != ".." else { throw .dotSegment }
        return text
    }
}

/// RFC 3986's unreserved characters.
private func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "~"):
        true
    default: false
    }
}

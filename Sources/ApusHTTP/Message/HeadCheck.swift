/// What the head of a request adds up to, and whether two servers in a row could read it differently.
///
/// The library (0.9.75) lets pass what this refuses: two lengths, a length and a coding, repeated hosts, codings other than
/// chunked (it would wait for them until its time-out), names that are no token, control characters in values. A pure value:
/// lines in, verdict out.
public struct HeadCheck: Sendable {
    /// Why a head is refused.
    public enum Refusal: Sendable, Equatable {
        /// Contradictory or malformed: status 400.
        case malformed(String)
        /// A coding that is not `chunked`: status 501.
        case unknownCoding
        /// Neither HTTP/1.0 nor HTTP/1.1: status 505.
        case unknownVersion
    }

    /// Headers whose second line could overrule the first one elsewhere.
    private enum Single: Int, CaseIterable {
        case contentLength, transferEncoding, host, contentType, authorization, origin

        /// Made once: the synthesised `allCases` builds an array at each use.
        static let all = Array(Single.allCases)

        var name: StaticString {
            switch self {
            case .contentLength: "content-length"
            case .transferEncoding: "transfer-encoding"
            case .host: "host"
            case .contentType: "content-type"
            case .authorization: "authorization"
            case .origin: "origin"
            }
        }
    }

    /// By ``Single``; a vector, so that checking a head allocates nothing.
    private var counts = SIMD8<UInt8>()
    private var malformed: String?
    private var isChunked = true
    /// The announced length of the body; nil without one.
    public private(set) var contentLength: Int?

    public init() {}

    public var hasBody: Bool { self.contentLength ?? 0 > 0 || self.count(.transferEncoding) > 0 }

    /// Takes one header line.
    public mutating func add(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
        if name.isEmpty || !name.allSatisfy(isTokenByte) {
            self.refuse("a header name holds a character that no name may hold")
        }
        if value.contains(where: { $0 < 0x20 && $0 != 0x09 || $0 == 0x7F }) {
            self.refuse("a header value holds a control character")
        }
        guard let single = Single.all.first(where: { name.equals(ignoringCase: $0.name) }) else { return }
        self.counts[single.rawValue] = self.counts[single.rawValue] == .max ? .max : self.counts[single.rawValue] + 1
        if single == .contentLength {
            self.contentLength = decimal(value)
            if self.contentLength == nil { self.refuse("Content-Length is not a decimal number") }
        }
        if single == .transferEncoding { self.isChunked = value.equals(ignoringCase: "chunked") }
    }

    /// The verdict once all lines are in.
    /// - Parameters:
    ///   - version: as in the request line, `HTTP/1.1`.
    ///   - target: as in the request line; only a path with an optional query is taken, as clients send it to an origin server.
    public func refusal(version: String, target: String) -> Refusal? {
        guard version == "HTTP/1.1" || version == "HTTP/1.0" else { return .unknownVersion }
        if let malformed = self.malformed { return .malformed(malformed) }
        for single in Single.all where self.count(single) > 1 {
            return .malformed("the header \(single.name) comes more than once")
        }
        if self.count(.contentLength) > 0, self.count(.transferEncoding) > 0 {
            return .malformed("Content-Length and Transfer-Encoding exclude each other")
        }
        if self.count(.transferEncoding) > 0 {
            if version == "HTTP/1.0" { return .malformed("HTTP/1.0 knows no Transfer-Encoding") }
            if !self.isChunked { return .unknownCoding }
        }
        if version == "HTTP/1.1", self.count(.host) == 0 { return .malformed("the header Host is missing") }
        guard target.utf8.first == UInt8(ascii: "/") else {
            return .malformed("the request target must be a path that starts with /")
        }
        guard target.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            return .malformed("the request target holds a character that must be percent-encoded")
        }
        return nil
    }

    private func count(_ single: Single) -> UInt8 { self.counts[single.rawValue] }

    /// Refuses the head for a reason found elsewhere; the first one is told.
    mutating func refuse(_ why: String) {
        if self.malformed == nil { self.malformed = why }
    }
}

/// RFC 9110, section 5.6.2.
func isTokenByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x5E...0x60, 0x7C, 0x7E: true
    default: false
    }
}

/// Digits only: no sign, no space, no list, no overflow.
func decimal(_ bytes: UnsafeRawBufferPointer) -> Int? {
    guard !bytes.isEmpty else { return nil }
    var number = 0
    for byte in bytes {
        guard (0x30...0x39).contains(byte) else { return nil }
        let (product, isOver) = number.multipliedReportingOverflow(by: 10)
        let (sum, isOverAgain) = product.addingReportingOverflow(Int(byte - 0x30))
        if isOver || isOverAgain { return nil }
        number = sum
    }
    return number
}

internal import ApusCore
internal import Glibc

/// Bytes of a result that are read in parts, wherever it lies.
protocol ResultSource {
    associatedtype Failure: Error
    var size: Int { get }
    func read(_ range: Range<Int>) throws(Failure) -> [UInt8]
    /// Where a line begins, counted from 1; the end for one that there is not.
    func start(ofLine line: Int) throws(Failure) -> Int
}

/// A result in memory.
struct ResultBytes: ResultSource {
    let bytes: [UInt8]

    var size: Int { self.bytes.count }
    func read(_ range: Range<Int>) -> [UInt8] { Array(self.bytes[range.clamped(to: 0..<self.bytes.count)]) }

    func start(ofLine line: Int) -> Int {
        self.bytes.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return 0 }
            var at = 0
            for _ in 1..<max(1, line) {
                guard let found = memchr(base + at, 0x0A, bytes.count - at) else { return bytes.count }
                at = UnsafeRawPointer(found) - base + 1
            }
            return at
        }
    }
}

/// Which part of a large result is read.
enum ResultRange: Equatable {
    case beginning
    /// From 0, both ends included.
    case bytes(Int, Int)
    /// From 1, both ends included.
    case lines(Int, Int)

    /// - Parameter query: `bytes=0-65535` or `lines=1-100`.
    init?(query: String?) {
        guard let query else {
            self = .beginning
            return
        }
        let parts = query.split(separator: "=", maxSplits: 1)
        guard parts.count == 2 else { return nil }
        let ends = parts[1].split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
        guard ends.count == 2, let first = ends[0], let last = ends[1], first >= 0, first <= last else { return nil }
        switch parts[0] {
        case "bytes": self = .bytes(first, last)
        case "lines" where first >= 1: self = .lines(first, last)
        default: return nil
        }
    }

    /// The bytes that are meant, and where they lie: at most ``Limits/ToolEndpoint/resultPartBytes``, and no more than that is read; of text no
    /// character is cut.
    func part<Source: ResultSource>(of source: Source, isText: Bool) throws(Source.Failure) -> (bytes: [UInt8], range: Range<Int>) {
        let range: Range<Int>
        switch self {
        case .beginning: range = 0..<source.size
        case .bytes(let first, let last):
            range = min(first, source.size)..<min(last == .max ? source.size : last + 1, source.size)
        case .lines(let first, let last):
            let start = try source.start(ofLine: first)
            range = start..<(last == .max ? source.size : max(start, try source.start(ofLine: last + 1)))
        }
        let short = range.lowerBound..<min(range.upperBound, range.lowerBound + Limits.ToolEndpoint.resultPartBytes)
        // One byte more says whether the last character is whole.
        let read = try source.read(short.lowerBound..<short.upperBound + 1)
        var part = read.prefix(short.count)
        if isText { part = Self.whole(part, isEnd: read.count == part.count || read[part.count] & 0xC0 != 0x80) }
        let start = short.lowerBound + part.startIndex
        return (Array(part), start..<start + part.count)
    }

    /// Without the halves of characters at both ends. A character has at most three bytes after its first: what has more is no text, and
    /// stays.
    private static func whole(_ part: ArraySlice<UInt8>, isEnd: Bool) -> ArraySlice<UInt8> {
        var part = part
        for _ in 0..<3 { if let first = part.first, first & 0xC0 == 0x80 { part.removeFirst() } }
        guard !isEnd else { return part }
        let tail = part.suffix(4)
        if let cut = tail.lastIndex(where: { $0 & 0xC0 != 0x80 }), cut > part.startIndex { part = part[..<cut] }
        return part
    }
}

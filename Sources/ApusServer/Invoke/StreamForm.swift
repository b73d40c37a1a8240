internal import ApusCore
internal import ApusCrypto
internal import ApusHTTP

/// How the parts of a streamed result are written into an answer.
enum StreamForm {
    /// Server-sent events, one for each part.
    case events
    /// Server-sent events, one for each line of the result; what is here waits for the rest of its line. A result is bounded, and
    /// so is its longest line.
    case eventLines([UInt8])
    /// JSON values, one a line.
    case lines
    case bytes

    init(_ contentType: String, wantsEvents: Bool) {
        let media = MediaType(parsing: contentType)
        // A function may write events itself.
        if wantsEvents, media?.essence != ServerSentEvent.mediaType {
            self = media?.essence == Self.linesType ? .eventLines([]) : .events
        } else {
            self = media?.isJSON ?? false ? .lines : .bytes
        }
    }

    private static let linesType = "application/x-ndjson"

    func headers(_ contentType: String) -> [(String, String)] {
        switch self {
        case .events, .eventLines: ServerSentEvent.headers
        case .lines: [("Content-Type", Self.linesType)]
        case .bytes: [("Content-Type", contentType)]
        }
    }

    /// Whether a failure can be told after the head.
    var saysErrors: Bool {
        switch self {
        case .events, .eventLines: true
        case .lines, .bytes: false
        }
    }

    /// What is written for the next part.
    mutating func part(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        switch self {
        case .events: return Self.event(Array(bytes))
        case .lines: return Array(bytes) + [0x0A]
        case .bytes: return Array(bytes)
        case .eventLines(var waiting):
            // Nothing else may hold the line while it grows.
            self = .eventLines([])
            waiting.append(contentsOf: bytes)
            let written = Self.takeLines(from: &waiting)
            self = .eventLines(waiting)
            return written
        }
    }

    /// What is written at the end.
    mutating func end() -> [UInt8] {
        switch self {
        case .events: return ServerSentEvent.encode(data: [], event: "end")
        case .eventLines(let waiting):
            self = .eventLines([])
            return (waiting.isEmpty ? [] : Self.event(waiting)) + ServerSentEvent.encode(data: [], event: "end")
        case .lines, .bytes: return []
        }
    }

    func end(_ problem: Problem) -> [UInt8] { ServerSentEvent.encode(data: problem.json(), event: "error") }

    private static func takeLines(from waiting: inout [UInt8]) -> [UInt8] {
        var written: [UInt8] = []
        var rest = waiting[...]
        while let end = rest.firstIndex(of: 0x0A) {
            written += ServerSentEvent.encode(data: rest[..<end])
            rest = rest[(end + 1)...]
        }
        waiting = Array(rest)
        return written
    }

    /// Events are text: bytes that are none go as base64, and say so.
    private static func event(_ bytes: [UInt8]) -> [UInt8] {
        if String(validating: bytes, as: UTF8.self) != nil { return ServerSentEvent.encode(data: bytes) }
        return ServerSentEvent.encode(data: Base64.encode(bytes).utf8, event: "base64")
    }
}

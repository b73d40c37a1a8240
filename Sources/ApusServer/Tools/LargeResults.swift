internal import ApusCore
internal import ApusCrypto
internal import ApusJSON
internal import ApusTools
internal import Synchronization

/// Results that are too large to be sent with a call, kept for a while for who called. In memory, bounded: the oldest go first.
final class LargeResults: Sendable {
    struct Result: Sendable {
        var type: String
        var data: [UInt8]
        var until: Timestamp
    }

    private struct State {
        var results: [String: Result] = [:]
        /// The oldest first.
        var order: [String] = []
        var bytes = 0

        mutating func remove(_ key: String) {
            guard let result = self.results.removeValue(forKey: key) else { return }
            self.bytes -= result.data.count
            self.order.removeAll { $0 == key }
        }
    }

    private static let prefix = "apus://results/"
    private let sealer: Sealer
    private let state = Mutex(State())
    private let resultsMax: Int
    private let bytesMax: Int

    init(
        sealer: Sealer, resultsMax: Int = Limits.ToolEndpoint.results, bytesMax: Int = Limits.ToolEndpoint.resultsBytes
    ) {
        self.sealer = sealer
        self.resultsMax = resultsMax
        self.bytesMax = bytesMax
    }

    static func isOne(_ uri: String) -> Bool { uri.hasPrefix(Self.prefix) }

    /// - Returns: where its owner can read it.
    func keep(_ data: [UInt8], type: String, for owner: String, now: Timestamp) -> String {
        let key = Random.bytes(16)
        let name = Hex.encode(key)
        self.state.withLock { state in
            for old in state.order.prefix(while: { state.results[$0].map { $0.until <= now } ?? true }) {
                state.remove(old)
            }
            while let oldest = state.order.first,
                state.results.count >= self.resultsMax || state.bytes + data.count > self.bytesMax
            {
                state.remove(oldest)
            }
            state.results[name] = Result(
                type: type, data: data, until: now + .seconds(Limits.ToolEndpoint.resultSeconds))
            state.order.append(name)
            state.bytes += data.count
        }
        return Self.prefix + self.sealer.seal(key, boundTo: ["apus result 1", owner])
    }

    /// - Returns: nil for what was never kept, is no more, or belongs to somebody else.
    func find(_ uri: String, for owner: String, now: Timestamp) -> (result: Result, range: ResultRange)? {
        let parts = uri.dropFirst(Self.prefix.count).split(
            separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard let text = parts.first, let key = self.sealer.open(String(text), boundTo: ["apus result 1", owner]),
            let range = ResultRange(query: parts.count == 2 ? String(parts[1]) : nil)
        else { return nil }
        let result = self.state.withLock { $0.results[Hex.encode(key)] }
        guard let result, now < result.until else { return nil }
        return (result, range)
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

    /// The bytes that are meant, at most ``Limits/ToolEndpoint/resultPartBytes``; of text no character is cut.
    func slice(of data: [UInt8], isText: Bool) -> ArraySlice<UInt8> {
        var range: Range<Int>
        switch self {
        case .beginning: range = 0..<data.count
        case .bytes(let first, let last):
            range = min(first, data.count)..<min(last == .max ? data.count : last + 1, data.count)
        case .lines(let first, let last): range = Self.lines(first, last, data)
        }
        if range.count > Limits.ToolEndpoint.resultPartBytes {
            range = range.lowerBound..<range.lowerBound + Limits.ToolEndpoint.resultPartBytes
        }
        guard isText else { return data[range] }
        let isInside = { (at: Int) in at < data.count && data[at] & 0xC0 == 0x80 }
        var (start, end) = (range.lowerBound, range.upperBound)
        while start < end, isInside(start) { start += 1 }
        while end > start, isInside(end) { end -= 1 }
        return data[start..<end]
    }

    private static func lines(_ first: Int, _ last: Int, _ data: [UInt8]) -> Range<Int> {
        var line = 1
        var start = first == 1 ? 0 : data.count
        for (at, byte) in data.enumerated() where byte == 0x0A {
            if line == last { return min(start, at + 1)..<at + 1 }
            line += 1
            if line == first { start = at + 1 }
        }
        return start..<data.count
    }
}

extension ToolEndpoint {
    func readResult(_ uri: String, _ request: ToolRequest, _ reply: ToolReply) throws(RPCError) {
        let owner = "\(request.place.namespace.name)/\(request.caller.name)"
        guard let (result, range) = self.registry.results.find(uri, for: owner, now: self.runtime.now) else {
            throw Self.resourceNotFound(uri, era: request.era)
        }
        self.answer(uri, range, of: result.data, type: result.type, reply)
    }

    /// Says a part of a large result.
    func answer(_ uri: String, _ range: ResultRange, of data: [UInt8], type: String, _ reply: ToolReply) {
        let isText =
            type.hasPrefix("text/") || type.hasPrefix("application/json") || type == "application/x-ndjson"
        let part = Array(range.slice(of: data, isText: isText))
        // A part of JSON is text that no parser takes.
        let type = isText && part.count < data.count ? "text/plain" : type
        var members = Array(#""contents":["#.utf8)
        members.append(contentsOf: ResultContent.resource(uri: uri, type: type, data: part))
        members.append(UInt8(ascii: "]"))
        reply.finish(
            members, cache: CacheHint(ttlMilliseconds: Limits.ToolEndpoint.listMilliseconds, isPublic: false))
    }
}
